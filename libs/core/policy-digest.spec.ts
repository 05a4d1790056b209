import { policyDocument } from '#contract';
import { canonicalJson } from './canonical-json.js';
import { policyDigest } from './policy-digest.js';

const document = (context: Record<string, string>) =>
  policyDocument.parse({
    schema: 'keyward.policy/1',
    grants: [{ id: 'one', subjects: ['svc:a'], objects: ['*'], operations: ['@read'], when: { encryptionContextEquals: context } }],
  });

describe('canonical policy', () => {
  it('sorts members by UTF-16 code units, integer-like names too (RFC 8785 §3.2.3)', () => {
    const text = canonicalJson(
      document({
        '\u20ac': 'euro',
        '\r': 'cr',
        '\ufb33': 'dalet',
        9: 'nine',
        10: 'ten',
        '\u{1f600}': 'smile',
        '\u0080': 'control',
        '\u00f6': 'o',
      }),
    );
    expect(text).toContain('{"\\r":"cr","10":"ten","9":"nine","\u0080":"control","ö":"o","€":"euro","😀":"smile","\ufb33":"dalet"}');
    expect(text).toMatch(/^\{"grants":\[.*\],"guardrails":\[\],"roles":\{\},"schema":"keyward.policy\/1"\}$/);
  });

  it('is the same for the same rules in other words, and another one for other rules', () => {
    expect(policyDigest(document({ a: '1', b: '2' }))).toBe(policyDigest(document({ b: '2', a: '1' })));
    expect(policyDigest(document({ a: '1' }))).not.toBe(policyDigest(document({ a: '2' })));
    expect(policyDigest(policyDocument.parse({ schema: 'keyward.policy/1' }))).toBe(
      '9de4b36cf272763cabc8a9658cbb070e779858d756921f55e3cc1ef28aee3856',
    );
  });
});
