import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { boundContext, canonicalContext, contextLength, encryptionContext, MAX_CONTEXT_BYTES, type TenantId } from './index.js';

const vectors = <T>(name: string): T[] => JSON.parse(readFileSync(`test/vectors/${name}.json`, 'utf8')) as T[];
const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');

describe('the canonical bytes of an encryption context', () => {
  it.each(vectors<{ desc: string; input: Record<string, string>; want: string }>('encryption-context'))('$desc', ({ input, want }) => {
    expect(hex(canonicalContext(input))).toBe(want);
    expect(canonicalContext(input).length).toBe(contextLength(input));
  });

  const text = fc.string({ unit: 'binary', maxLength: 12 }).filter((s) => s.isWellFormed());
  const context = fc.dictionary(
    text.filter((name) => name !== '__proto__'),
    text,
    { maxKeys: 6 },
  );

  it('do not depend on the order of the pairs', () => {
    fc.assert(
      fc.property(context, (pairs) => {
        const reversed = Object.fromEntries(Object.entries(pairs).reverse());
        expect(hex(canonicalContext(reversed))).toBe(hex(canonicalContext(pairs)));
      }),
    );
  });

  it('differ whenever the contexts or the tenants differ', () => {
    const tenants = fc.constantFrom('acme', 'acme-2', 'globex') as fc.Arbitrary<TenantId>;
    fc.assert(
      fc.property(tenants, context, tenants, context, (tenantA, a, tenantB, b) => {
        const same = tenantA === tenantB && JSON.stringify(Object.entries(a).sort()) === JSON.stringify(Object.entries(b).sort());
        expect(hex(boundContext(tenantA, a)) === hex(boundContext(tenantB, b))).toBe(same);
      }),
      { numRuns: 1000 },
    );
  });
});

describe('a context from a caller', () => {
  it.each(vectors<{ desc: string; json: string; wantErr: string }>('refused-contexts'))('is refused: $desc', ({ json, wantErr }) => {
    const parsed = encryptionContext.safeParse(JSON.parse(json));
    expect(parsed.success).toBe(false);
    expect(JSON.stringify(parsed.error?.issues)).toContain(wantErr);
  });

  it('may have 8192 bytes and not one more', () => {
    const withValueOf = (length: number) => encryptionContext.safeParse({ k: 'x'.repeat(length) }).success;
    expect(withValueOf(MAX_CONTEXT_BYTES - 5)).toBe(true);
    expect(withValueOf(MAX_CONTEXT_BYTES - 4)).toBe(false);
  });

  it('is counted in bytes, not characters', () => {
    expect(encryptionContext.safeParse({ k: '€'.repeat(3000) }).success).toBe(false);
  });
});
