import { parseRsp } from './vector-files.js';

it("reads NIST's files: groups of fields, named groups, words alone, comments", () => {
  const text =
    '# CAVS\n\n[Keylen = 256]\n[IVlen = 96]\n\nCount = 0\nKey = 00ff\nPT =\n\nCount = 1\r\nFAIL\n\n[P-256,SHA-256]\n\nMsg = ab\n# why\nResult = P (0 )\n';
  expect(parseRsp(text)).toEqual([
    { group: { Keylen: '256', IVlen: '96' }, test: { Count: '0', Key: '00ff', PT: '' } },
    { group: { Keylen: '256', IVlen: '96' }, test: { Count: '1', FAIL: '' } },
    { group: { name: 'P-256,SHA-256' }, test: { Msg: 'ab', Result: 'P (0 )' } },
  ]);
});
