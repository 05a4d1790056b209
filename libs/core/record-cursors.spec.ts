import { createSecretKey } from 'node:crypto';
import type { TenantId } from '#contract';
import { RecordCursors } from './record-cursors.js';

const cursors = new RecordCursors(createSecretKey(Buffer.alloc(32, 1)));
const otto = { tenant: 'acme' as TenantId, name: 'otto' };
const listed = { fromSeq: 0, op: 'Stop' as const };
const place = { asOf: 70_000, nextSeq: 20_000 };
const cursor = cursors.seal(otto, listed, place);

describe('the cursor of a list of records', () => {
  it('leads back to its place, in any process that has the pepper', () => {
    expect(
      new RecordCursors(createSecretKey(Buffer.alloc(32, 1))).open(otto, { op: 'Stop', fromSeq: 0, keyId: undefined }, cursor),
    ).toEqual(place);
  });

  it.each([
    ['another tenant', { ...otto, tenant: 'globex' as TenantId }, listed],
    ['another caller', { ...otto, name: 'olga' }, listed],
    ['other filters', otto, { ...listed, op: 'Lift' as const }],
    ['one filter more', otto, { ...listed, principal: 'anna' }],
    ['another beginning', otto, { ...listed, fromSeq: 1 }],
  ])('is none for %s', (_, whose, other) => {
    expect(() => cursors.open(whose, other, cursor)).toThrow(
      expect.objectContaining({ fields: [expect.objectContaining({ field: 'cursor' })] }),
    );
  });

  it('is none when a bit of it was turned, when it was cut, spelt otherwise, or made with another pepper', () => {
    const bytes = Buffer.from(cursor, 'base64url');
    for (let bit = 0; bit < 8 * bytes.length; bit += 5) {
      const turned = Buffer.from(bytes);
      turned[bit >> 3]! ^= 1 << (bit & 7);
      expect(() => cursors.open(otto, listed, turned.toString('base64url'))).toThrow();
    }
    const others = [
      cursor.slice(0, -1),
      '',
      `${cursor}=`,
      new RecordCursors(createSecretKey(Buffer.alloc(32, 2))).seal(otto, listed, place),
    ];
    for (const other of others) expect(() => cursors.open(otto, listed, other)).toThrow();
  });
});
