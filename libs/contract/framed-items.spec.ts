import * as fc from 'fast-check';
import { decryptBatchFrame, decryptFrame } from '#contract';

const sealed = (length: number) => Buffer.alloc(length, 7);

/** Few of everything, so that most items say what another has said, or nearly. */
const head = fc.record(
  {
    encryptionContext: fc.constantFrom<unknown>(
      {},
      { purpose: 'invoice' },
      { purpose: 'other' },
      { other: 'invoice' },
      { purpose: 'invoice', other: '' },
      ['invoice'],
      { 0: 'invoice' },
      { toString: 'invoice' },
      'invoice',
      null,
    ),
    keyId: fc.constantFrom<unknown>('alias/a', 'alias/b', 'nothing', 1),
    justification: fc.constantFrom<unknown>('CASE-1', { code: 'CASE-1' }),
    dryRun: fc.constantFrom<unknown>(true, false, 'true'),
  },
  { requiredKeys: [] },
);
const item = fc.tuple(head, fc.constantFrom(7, 60, 61, 7000)).map(([asked, length]) => ({ ...asked, ciphertext: sealed(length) }));

describe('the items of a frame', () => {
  it('are read as each alone would be, whatever stands before it', () => {
    fc.assert(
      fc.property(fc.array(item, { minLength: 1, maxLength: 30 }), (items) => {
        const alone = items.map((one) => decryptFrame.safeParse(one));
        const read = decryptBatchFrame.parse({ items }).items;
        expect(read.map(({ success, data, error }) => [success, data, error?.issues])).toEqual(
          alone.map(({ success, data, error }) => [success, data, error?.issues]),
        );
      }),
    );
  });

  it('keep the bytes of their own', () => {
    const items = [60, 61, 62].map((length) => ({ encryptionContext: { purpose: 'invoice' }, ciphertext: sealed(length) }));
    const { items: read } = decryptBatchFrame.parse({ items });
    expect(read.map(({ data }) => data?.ciphertext)).toEqual(items.map(({ ciphertext }) => ciphertext));
  });

  it('may be as deep as a body is long', () => {
    const deep: unknown = JSON.parse(`${'['.repeat(100_000)}${']'.repeat(100_000)}`);
    const items = [{ encryptionContext: {} }, { encryptionContext: deep }, deep].map((one) =>
      Object.assign(one as object, { ciphertext: sealed(60) }),
    );
    expect(decryptBatchFrame.parse({ items }).items.map(({ success }) => success)).toEqual([true, false, false]);
  });
});
