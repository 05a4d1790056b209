import { listRecordsQuery } from './audit-operations.js';
import { createKeyRequest } from './key-life.js';
import { onboardTenantRequest, registerServiceRequest, stopRequest } from './key-operations.js';

const LINES = [
  ['displayName', (text: string) => onboardTenantRequest.safeParse({ tenant: 'acme', displayName: text })],
  ['reason', (text: string) => stopRequest.safeParse({ target: { scope: 'everything' }, reason: text })],
] as const;
const PROSE = [
  ['description of a service', (text: string) => registerServiceRequest.safeParse({ service: 'billing', description: text })],
  ['description of a key', (text: string) => createKeyRequest.safeParse({ description: text })],
] as const;

describe('text that people write', () => {
  it.each([...LINES, ...PROSE])('%s: may be in any script, and holds no control characters', (field, parse) => {
    expect(parse('Zürich 東京 👩‍🚀 é').success).toBe(true);
    for (const text of ['a\0b', 'a\rb', 'a\x1b[2J', 'a\x85', 'a\ud800']) {
      const name = field.split(' ')[0];
      expect(parse(text).error?.issues).toEqual([expect.objectContaining({ path: [name], message: expect.stringContaining('control') })]);
    }
  });

  it.each(PROSE)('%s: may have lines', (_, parse) => expect(parse('one\n\ttwo').success).toBe(true));
  it.each(LINES)('%s: is one line', (_, parse) => expect(parse('one\ntwo').success).toBe(false));
});

describe('the filter of records', () => {
  it.each([
    ['op', 'Encript'],
    ['requestId', 'req_1'],
    ['requestId', `req_8${'0'.repeat(25)}`],
  ])('refuses %s %s, which no record has', (field, value) => {
    expect(listRecordsQuery.safeParse({ [field]: value }).error?.issues.map(({ path }) => path)).toEqual([[field]]);
  });

  it('takes what records have', () => {
    expect(listRecordsQuery.safeParse({ op: 'GetBundle', requestId: `req_7${'z'.repeat(25)}` }).success).toBe(true);
  });
});
