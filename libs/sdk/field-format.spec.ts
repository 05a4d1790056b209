import { createCipheriv, createHmac, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { boundContext } from '#contract';
import { DecryptFailed, InvalidCall } from './errors.js';
import { type FieldForm, MAX_FIELD_BYTES, parseField } from './field-format.js';
import { FieldKey } from './field-key.js';

interface Vector {
  readonly desc: string;
  readonly tenant: string;
  readonly context: Record<string, string>;
  readonly row?: string;
  readonly form: FieldForm;
  readonly dataKey: string;
  readonly encryptedDataKey: string;
  readonly iv: string;
  readonly plaintext: string;
  readonly commitment: string;
  readonly want: string;
}
const vectors = JSON.parse(readFileSync('test/vectors/field-v1.json', 'utf8')) as Vector[];
const hex = (text: string) => Buffer.from(text, 'hex');
const keyOf = (vector: Vector, over: Partial<Vector> = {}) => {
  const { dataKey, encryptedDataKey, tenant, context } = { ...vector, ...over };
  return new FieldKey(hex(dataKey), hex(encryptedDataKey), boundContext(tenant, context));
};
const open = (key: FieldKey, field: Uint8Array, bound?: Uint8Array) => key.open(parseField(field), bound);
/** Of a field in a row: a pair more than its data key has. */
const boundAt = ({ tenant, context, row }: Vector) => (row === undefined ? undefined : boundContext(tenant, { ...context, row }));

describe('the field format', () => {
  it.each(vectors)('is what its vector says: $desc', (vector) => {
    const sealed = keyOf(vector).seal(hex(vector.plaintext), vector.form, boundAt(vector), hex(vector.iv));
    expect(sealed.toString('hex')).toBe(vector.want);
    expect(open(keyOf(vector), hex(vector.want), boundAt(vector)).toString('hex')).toBe(vector.plaintext);
  });

  it.each(vectors)('is as docs/formats.md describes it, computed another way: $desc', (vector) => {
    const u16 = (length: number) => hex(length.toString(16).padStart(4, '0'));
    const hmac = (key: Buffer, ...parts: Buffer[]) => createHmac('sha256', key).update(Buffer.concat(parts)).digest();
    const version = hex(vector.encryptedDataKey).subarray(5, 21);
    const info = Buffer.concat([Buffer.from('keyward field v1\0'), version, u16(vector.tenant.length), Buffer.from(vector.tenant)]);
    const prk = hmac(Buffer.alloc(32), hex(vector.dataKey));
    const key = hmac(prk, info, Buffer.of(1));
    const commitment = hmac(prk, key, info, Buffer.of(2));
    const inline = vector.form === 'inline' ? [u16(hex(vector.encryptedDataKey).length), hex(vector.encryptedDataKey)] : [];
    const header = Buffer.concat([Buffer.from('KF'), Buffer.of(1, vector.form === 'inline' ? 1 : 2), version, commitment, ...inline]);
    const cipher = createCipheriv('aes-256-gcm', key, hex(vector.iv)).setAAD(
      Buffer.concat([header, boundContext(vector.tenant, { ...vector.context, ...(vector.row !== undefined && { row: vector.row }) })]),
    );
    const sealed = [cipher.update(hex(vector.plaintext)), cipher.final()];
    const field = Buffer.concat([header, hex(vector.iv), ...sealed, cipher.getAuthTag()]);
    expect([commitment.toString('hex'), field.toString('hex')]).toEqual([vector.commitment, vector.want]);
  });

  it.each(vectors)('refuses it with any byte flipped, any bit of it: $desc', (vector) => {
    const key = keyOf(vector);
    for (let at = 0; at < hex(vector.want).length; at++)
      for (let bit = 1; bit < 256; bit <<= 1) {
        const field = hex(vector.want);
        field[at]! ^= bit;
        expect(() => open(key, field, boundAt(vector))).toThrow(DecryptFailed);
      }
  });

  it.each(vectors)('refuses it cut at any length, and with anything behind it: $desc', (vector) => {
    const key = keyOf(vector);
    for (let length = 0; length < hex(vector.want).length; length++)
      expect(() => open(key, hex(vector.want).subarray(0, length), boundAt(vector))).toThrow(DecryptFailed);
    expect(() => open(key, Buffer.concat([hex(vector.want), Buffer.alloc(1)]), boundAt(vector))).toThrow(DecryptFailed);
  });

  const [, inline] = vectors as [Vector, Vector];
  it.each<[string, Partial<Vector>]>([
    ['tenant', { tenant: 'globex' }],
    ['context', { context: { purpose: 'payroll' } }],
    ['context, by a pair more', { context: { ...inline.context, more: '' } }],
    ['data key', { dataKey: 'ff'.repeat(32) }],
    ['key version', { encryptedDataKey: inline.encryptedDataKey.replace('20212223', '30212223') }],
  ])('refuses it under another %s', (_, other) => {
    expect(() => open(keyOf(inline, other), hex(inline.want))).toThrow(DecryptFailed);
  });

  it('commits: the commitment is compared before anything is decrypted', () => {
    const other = keyOf(inline, { dataKey: 'ff'.repeat(32) });
    const field = hex(inline.want);
    other.commitment.copy(field, 20);
    expect(() => open(keyOf(inline), field)).toThrow(DecryptFailed);
    expect(() => open(other, field)).toThrow(DecryptFailed);
  });

  it('carries any bytes, in both forms, and never the same way twice', () => {
    const key = keyOf(inline);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.constantFrom<FieldForm>('inline', 'reference'), (plaintext, form) => {
        const [one, other] = [key.seal(plaintext, form), key.seal(plaintext, form)];
        expect(one.equals(other)).toBe(false);
        expect(Buffer.compare(open(key, one), plaintext)).toBe(0);
      }),
    );
  });

  it('draws a new IV for every field', () => {
    const key = keyOf(inline);
    const ivs = Array.from({ length: 2000 }, () => parseField(key.seal(Buffer.alloc(0), 'reference')).iv.toString('hex'));
    expect(new Set(ivs).size).toBe(2000);
  });

  it('is neither sealed nor opened any more once its key is wiped', () => {
    const key = keyOf(inline);
    key.wipe();
    expect(() => open(key, hex(inline.want))).toThrow(InvalidCall);
    expect(() => key.seal(Buffer.alloc(1), 'inline')).toThrow(InvalidCall);
  });

  it('has at most 1 MiB', () => {
    const key = keyOf(inline);
    expect(open(key, key.seal(Buffer.alloc(MAX_FIELD_BYTES), 'inline'))).toHaveLength(MAX_FIELD_BYTES);
    expect(() => key.seal(Buffer.alloc(MAX_FIELD_BYTES + 1), 'inline')).toThrow(InvalidCall);
  });

  it('parses whatever it is given, or says that it is no field', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        try {
          parseField(bytes);
        } catch (error) {
          expect(error).toBeInstanceOf(DecryptFailed);
        }
      }),
    );
    expect(() => parseField(randomBytes(3))).toThrow(DecryptFailed);
  });
});
