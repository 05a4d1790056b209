import { type Cast, INVOICES, type Keys, PURPOSE } from './cast.js';
import { narrate } from './narrate.js';

const POLICY = {
  schema: 'keyward.policy/1' as const,
  grants: [
    {
      id: 'billing-invoices',
      subjects: ['svc:billing'],
      objects: [INVOICES],
      operations: ['Encrypt' as const, 'Decrypt' as const, 'GenerateDataKey' as const],
      when: { encryptionContextEquals: PURPOSE },
      description: 'billing writes and reads invoices',
    },
  ],
};

/** acme makes a key and says who may use it for what; globex makes one and says nothing. */
export async function keyAndGrant({ acme, globex }: Cast): Promise<Keys> {
  narrate.step(2, "acme's admin creates a key and grants its use");
  const key = await acme.admin.createKey('acme', { description: "acme's invoices", alias: INVOICES });
  narrate.line(
    `${key.keyId} was born in the HSM (${key.keySpec}, protection level ${key.protectionLevel}); its name is ${key.aliases.join(', ')}`,
  );
  const policy = await acme.admin.putPolicy('acme', POLICY, 0);
  narrate.line(
    `policy version ${policy.version}, SHA-256 ${policy.digest.slice(0, 16)}…: billing may Encrypt, Decrypt and GenerateDataKey`,
  );
  narrate.line(`with ${INVOICES} when purpose=invoice (rule billing-invoices); nobody may do anything else`);
  const other = await globex.admin.createKey('globex', { description: "globex's invoices", alias: INVOICES });
  narrate.line(`globex has a key of its own, ${other.keyId}, and grants nothing`);
  return { acme: key.keyId, globex: other.keyId };
}
