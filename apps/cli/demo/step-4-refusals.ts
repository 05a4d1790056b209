import type { TrailRecord } from '#contract';
import { type Cast, INVOICES, type Keys, PURPOSE } from './cast.js';
import { mustBeRefused, type Refusal } from './expectation.js';
import { narrate } from './narrate.js';

/** What must fail fails, and each time the record says why. Answers the first refusal's record. */
export async function refusals({ billing, auditor }: Cast, keys: Keys, ciphertext: Uint8Array): Promise<TrailRecord> {
  narrate.step(4, 'What must fail, fails; the caller is told little, the record has the true reason');
  const plaintext = Buffer.from('not for everybody');
  const tampered = Uint8Array.from(ciphertext);
  tampered[tampered.length - 1]! ^= 1;
  const wrongPurpose: Refusal = {
    what: 'another purpose (purpose=payroll)',
    attempt: () => billing.encrypt({ tenant: 'acme', keyId: INVOICES, plaintext, context: { purpose: 'payroll' } }),
    code: 'not-granted',
    reason: 'no-grant',
  };
  const others: readonly Refusal[] = [
    {
      what: "another tenant's key (globex's, by its id)",
      attempt: () => billing.encrypt({ tenant: 'acme', keyId: keys.globex, plaintext, context: PURPOSE }),
      code: 'not-granted',
      reason: 'unknown-key',
    },
    {
      what: 'a ciphertext with one bit changed',
      attempt: () => billing.decrypt({ tenant: 'acme', ciphertext: tampered, context: PURPOSE }),
      code: 'decrypt-failed',
      reason: 'wrong-tag-or-context',
    },
    {
      what: 'an operation that no grant names (GenerateDataKeyWithoutPlaintext)',
      attempt: () => billing.generateDataKeyWithoutPlaintext({ tenant: 'acme', keyId: INVOICES, context: PURPOSE }),
      code: 'not-granted',
      reason: 'no-grant',
    },
  ];
  const first = await mustBeRefused(wrongPurpose, auditor);
  for (const refusal of others) await mustBeRefused(refusal, auditor);
  return first;
}
