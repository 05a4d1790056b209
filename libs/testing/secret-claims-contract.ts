import type { KeyId, SecretName, TenantId } from '#contract';
import {
  type Custody,
  KeyBindingBroken,
  newKeyId,
  newKeyVersionId,
  newLogId,
  newSecretId,
  Permit,
  type RuleBindings,
  type SecretClaim,
  type SecretKeys,
  secretLabelsRow,
  secretRow,
  type SecretVersionName,
  type WrappedKeyVersion,
} from '#core';

const ACME = 'acme' as TenantId;

interface Keeping {
  readonly key: Custody & RuleBindings;
  readonly data: SecretKeys;
  /** The worker's. */
  readonly signer: SecretKeys;
}

/** What of secrets' data keys is the worker's, of every custody (custody-contract.ts). `keeping` answers once it is made, with acme's root 0. */
export function secretClaimsContract(keeping: () => Keeping): void {
  describe('the data keys of secrets that rotate', () => {
    const naming = (versionId = 'v1'): SecretVersionName => ({ secretId: newSecretId(Date.now()), versionId });
    async function aKey(): Promise<WrappedKeyVersion> {
      const now = Date.now();
      const ids = { keyId: newKeyId(now), versionId: newKeyVersionId(now), logId: newLogId(now) };
      const draft = { tenant: ACME, ...ids, spec: 'AES_256', usage: 'ENCRYPT_DECRYPT', origin: 'KEYWARD' } as const;
      return await keeping().key.createKeyVersion(
        new Permit({ operation: 'CreateKey', tenant: ACME, versionId: draft.versionId }),
        draft,
        0,
      );
    }
    async function aClaim({ secretId }: SecretVersionName, keyId: KeyId, connection: SecretVersionName): Promise<SecretClaim> {
      const rotation = { target: 'webhook', connectionSecret: connection.secretId } as const;
      const secret = { secretId, name: 'app/db' as SecretName, type: 'database', keyId, tags: { team: 'blue' }, rotation } as const;
      const permit = new Permit<'CreateSecret'>({ operation: 'CreateSecret', tenant: ACME });
      return { ...secret, mac: await keeping().key.bindRule(permit, secretRow(ACME, secret)) };
    }
    const permit = <Operation extends 'GetSecretValue' | 'PutSecretValue'>(operation: Operation, { versionId }: WrappedKeyVersion) =>
      new Permit<Operation>({ operation, tenant: ACME, versionId });
    const make = (by: SecretKeys, key: WrappedKeyVersion, of: SecretVersionName, claim?: SecretClaim) =>
      by.generateSecretKey(permit('PutSecretValue', key), key, of, claim);
    const open = (
      by: SecretKeys,
      key: WrappedKeyVersion,
      of: SecretVersionName,
      made: Awaited<ReturnType<typeof make>>,
      claim?: SecretClaim,
    ) => by.openSecretKey(permit('GetSecretValue', key), key, of, made, claim);

    it('are the worker’s for a secret with a rotation policy, and to be opened for the one that its target is reached by', async () => {
      const { signer, data } = keeping();
      const [key, of, connection] = [await aKey(), naming(), naming()];
      const claim = await aClaim(of, key.keyId, connection);
      const made = await make(signer, key, of, claim);
      expect(Buffer.from(await open(data, key, of, made))).toEqual(Buffer.from(made.plaintext));
      const theirs = await make(data, key, connection);
      expect(Buffer.from(await open(signer, key, connection, theirs, claim))).toEqual(Buffer.from(theirs.plaintext));
      await expect(make(signer, key, connection, claim)).rejects.toThrow(KeyBindingBroken);
    });

    it.each<[string, (claim: SecretClaim, other: SecretClaim) => SecretClaim]>([
      ['another secret', (_, other) => other],
      ["another secret's policy", (claim, { rotation, mac }) => ({ ...claim, rotation, mac })],
      ['an edited policy', (claim) => ({ ...claim, rotation: { target: 'schedule' } })],
      ['another key', (claim) => ({ ...claim, keyId: newKeyId(1) })],
      ['another tag', (claim) => ({ ...claim, tags: { team: 'red' } })],
    ])('are not the worker’s by a claim of %s', async (_, changed) => {
      const { signer, data } = keeping();
      const [key, of] = [await aKey(), naming()];
      const claim = changed(await aClaim(of, key.keyId, naming()), await aClaim(naming(), key.keyId, naming()));
      const made = await make(data, key, of);
      await expect(open(signer, key, of, made, claim)).rejects.toThrow(KeyBindingBroken);
      await expect(make(signer, key, of, claim)).rejects.toThrow(KeyBindingBroken);
      const { digest } = secretLabelsRow(ACME, { secretId: of.secretId, revision: 2, labels: {} });
      const moving = new Permit<'UpdateSecretVersionLabels'>({ operation: 'UpdateSecretVersionLabels', tenant: ACME });
      await expect(signer.bindSecretLabels(moving, of.secretId, digest, claim)).rejects.toThrow(KeyBindingBroken);
    });
  });
}
