import type { SecretId, TenantId } from '#contract';
import {
  type BindingChecks,
  type Custody,
  DecryptFailed,
  KeyBindingBroken,
  Permit,
  PermitMisused,
  type RuleBindings,
  secretKeyAad,
  type SecretKeys,
  type SecretVersionName,
  type WrappedKeyVersion,
} from '#core';

const ACME = 'acme' as TenantId;
const MALFORMED = { code: 'internal' };
const SECRET = 'sec_01jdsz0000e008000000000001' as SecretId;
const OTHER = 'sec_01jdsz0000e008000000000002' as SecretId;
const NAME: SecretVersionName = { secretId: SECRET, versionId: 'v1' };

interface Keeping {
  readonly key: RuleBindings & SecretKeys;
  readonly data: Custody & BindingChecks & SecretKeys;
}

/** Data keys of secrets, of every custody (custody-contract.ts). `made`: a version of a key of acme that seals, and one that makes MACs. */
export function secretKeysContract(
  keeping: () => Keeping,
  made: () => { readonly version: WrappedKeyVersion; readonly macs: Promise<WrappedKeyVersion> },
): void {
  describe('the data key of a secret', () => {
    const permit = <Operation extends 'PutSecretValue' | 'GetSecretValue'>(operation: Operation, { versionId } = made().version) =>
      new Permit<Operation>({ operation, tenant: ACME, versionId });
    const generate = (of = NAME) => keeping().data.generateSecretKey(permit('PutSecretValue'), made().version, of);
    const open = (sealed: { iv: Uint8Array; ciphertext: Uint8Array }, of = NAME) =>
      keeping().key.openSecretKey(permit('GetSecretValue'), made().version, of, sealed);

    it('opens at either plane, and is 32 bytes', async () => {
      const { plaintext, ...sealed } = await generate();
      expect([plaintext.length, Buffer.from(await open(sealed))]).toEqual([32, Buffer.from(plaintext)]);
    });

    it.each<[string, SecretVersionName]>([
      ['another secret', { ...NAME, secretId: OTHER }],
      ['another version', { ...NAME, versionId: 'v2' }],
    ])('opens for %s no more than for a stranger', async (_, of) => {
      const { plaintext: _plaintext, ...sealed } = await generate();
      await expect(open(sealed, of)).rejects.toThrow(DecryptFailed);
      await expect(open(sealed)).resolves.toBeDefined();
    });

    it('is a ciphertext of the context that nobody else can ask for: any other does not open here', async () => {
      const { version } = made();
      const { plaintext, ...sealed } = await generate();
      const decrypt = (aad: Uint8Array, of = sealed) =>
        keeping().data.decrypt(new Permit({ operation: 'Decrypt', tenant: ACME, versionId: version.versionId, aad }), version, of);
      expect(Buffer.from(await decrypt(secretKeyAad(ACME, version, NAME)))).toEqual(Buffer.from(plaintext));
      await expect(decrypt(Buffer.from('purpose=invoice'))).rejects.toThrow(DecryptFailed);
      const generating = new Permit<'GenerateDataKey'>({
        ...{ operation: 'GenerateDataKey', tenant: ACME, versionId: version.versionId, aad: Buffer.from('purpose=invoice') },
      });
      await expect(open(await keeping().data.generateDataKey(generating, version, 32))).rejects.toThrow(DecryptFailed);
    });

    it('takes a permit for its own key version, once, and a row that is bound', async () => {
      const { version } = made();
      const spent = permit('PutSecretValue');
      await keeping().data.generateSecretKey(spent, version, NAME);
      await expect(keeping().data.generateSecretKey(spent, version, NAME)).rejects.toThrow(PermitMisused);
      const foreign = new Permit<'PutSecretValue'>({
        operation: 'PutSecretValue',
        tenant: 'globex' as TenantId,
        versionId: version.versionId,
      });
      await expect(keeping().data.generateSecretKey(foreign, version, NAME)).rejects.toThrow(PermitMisused);
      const mac = version.mac.map((byte, at) => (at === 0 ? byte ^ 1 : byte));
      await expect(keeping().data.generateSecretKey(permit('PutSecretValue'), { ...version, mac }, NAME)).rejects.toThrow(KeyBindingBroken);
    });

    it('is none of a key that makes MACs', async () => {
      const macs = await made().macs;
      await expect(keeping().data.generateSecretKey(permit('PutSecretValue', macs), macs, NAME)).rejects.toThrow();
    });
  });

  describe('the labels of a secret', () => {
    const digest = Buffer.alloc(32, 7);
    const bind = (permit = new Permit<'PutSecretValue'>({ operation: 'PutSecretValue', tenant: ACME }), id = SECRET) =>
      keeping().data.bindSecretLabels(permit, id, digest);
    const row = { tenant: ACME, kind: 'secret-labels', id: SECRET, digest } as const;

    it('are bound by whoever puts values, and are no rule of another kind', async () => {
      const mac = await bind();
      const shown = [row, { ...row, kind: 'secret' as const }, { ...row, kind: 'policy' as const }, { ...row, id: OTHER }];
      expect(await keeping().data.checkBindings(shown.map((one) => ({ ...one, mac })))).toEqual([true, false, false, false]);
      expect(Buffer.from(mac)).toEqual(
        Buffer.from(
          await keeping().key.bindSecretLabels(new Permit({ operation: 'UpdateSecretVersionLabels', tenant: ACME }), SECRET, digest),
        ),
      );
    });

    it('are bound of a secret, by a permit to change them', async () => {
      await expect(bind(undefined, 'key_01jdsz0000e008000000000001' as SecretId)).rejects.toMatchObject(MALFORMED);
      const reading = new Permit({ operation: 'GetSecretValue', tenant: ACME }) as never;
      await expect(bind(reading)).rejects.toThrow(PermitMisused);
    });
  });
}
