import { createHmac, randomBytes } from 'node:crypto';
import type { ImportToken, TenantId } from '#contract';
import {
  type BoundImport,
  type BindingChecks,
  type Custody,
  type ImportParameters,
  KeyBindingBroken,
  KeyDestroyed,
  type KeyImports,
  newKeyId,
  newKeyVersionId,
  newLogId,
  Permit,
  PermitMisused,
  vkeyOf,
  type WrappedKeyVersion,
} from '#core';
import { parseVkey, verifyImportStatement } from '#trail';
import { wrapped } from '../../apps/cli/commands/wrapped-material.js';

const ACME = 'acme' as TenantId;
const ORIGIN = 'keyward.example/audit/imports';
const ALGORITHM = 'RSA_AES_KEY_WRAP_SHA_1';
const OTHER_MATERIAL = { fields: [{ message: expect.stringContaining('other material') }] };

interface Imports {
  readonly key: Custody & KeyImports;
  readonly data: Custody & BindingChecks;
}

/** What imports are, to every custody that has them (custody-contract.ts). `imports` answers once it is made, with acme's root 0. */
export function importsContract(imports: () => Imports): void {
  describe('an import', () => {
    let bound: BoundImport;
    let statement: string;
    let signer: string;
    const now = Date.now();
    const draft = { tenant: ACME, keyId: newKeyId(now), versionId: newKeyVersionId(now), logId: newLogId(now) };
    const parameters: ImportParameters = {
      ...{ ...draft, spec: 'AES_256', usage: 'ENCRYPT_DECRYPT', algorithm: ALGORITHM },
      ...{ importToken: 'imp_01jdsz0000e008000000000001' as ImportToken, expiresAt: now + 3_600_000 },
    };
    const permit = (versionId = parameters.versionId) =>
      new Permit<'GetImportParameters'>({ operation: 'GetImportParameters', tenant: ACME, versionId });
    const create = (what = parameters, may = permit()) => imports().key.createImport(may, what, { origin: ORIGIN, keys: [1] }, 0);
    const take = async (row: BoundImport, more: { before?: WrappedKeyVersion; bytes?: Uint8Array; validTo?: number; of?: string } = {}) => {
      const told = await verifyImportStatement(more.of ?? statement, [parseVkey(signer)]);
      const encrypted = wrapped(Buffer.from(more.bytes ?? randomBytes(32)), told);
      const importing = new Permit<'ImportKeyMaterial'>({ operation: 'ImportKeyMaterial', tenant: row.tenant, versionId: row.versionId });
      const material = { encrypted, publicKey: undefined, validTo: more.validTo ?? 0, before: more.before, root: 0 };
      return imports().key.importKeyMaterial(importing, row, material);
    };
    const empty = (version: WrappedKeyVersion, versionId = version.versionId) =>
      imports().key.emptyKeyVersion(new Permit({ operation: 'DeleteImportedKeyMaterial', tenant: ACME, versionId }), version);
    const seal = (version: WrappedKeyVersion) => imports().data.encrypt(using('Encrypt'), version, Buffer.from('x'));
    const using = <Operation extends 'Encrypt' | 'Decrypt'>(operation: Operation) =>
      new Permit<Operation>({ operation, tenant: ACME, versionId: draft.versionId, aad: Buffer.from('aad') });

    beforeAll(async () => {
      const onboarding = new Permit<'OnboardTenant'>({ operation: 'OnboardTenant', tenant: ACME });
      signer = vkeyOf(ORIGIN, (await imports().key.createLogKey(onboarding, 1)).publicKey);
      ({ bound, statement } = await create());
    }, 60_000);

    it("is told in a statement that the tenant's log key signs", async () => {
      const told = await verifyImportStatement(statement, [parseVkey(signer)]);
      const { keyId, versionId, spec, importToken } = parameters;
      expect(told).toMatchObject({ tenant: ACME, keyId, versionId, spec, importToken });
      await expect(verifyImportStatement(statement.replace('AES_256', 'AES_128'), [parseVkey(signer)])).rejects.toThrow('signature');
    });

    it('makes a version that works, told apart by its check from other material', async () => {
      const bytes = randomBytes(32);
      const version = await take(bound, { bytes, validTo: now + 7_200_000 });
      const imported = { check: expect.any(Uint8Array), validTo: now + 7_200_000, inMemory: false };
      expect(version).toMatchObject({ origin: 'EXTERNAL', versionId: draft.versionId, imported });
      const sealed = await seal(version);
      expect(Buffer.from(await imports().data.decrypt(using('Decrypt'), version, sealed)).toString()).toBe('x');
      expect(Buffer.from(version.blob).includes(bytes)).toBe(false);
      const { check } = version.imported!;
      expect(check).toHaveLength(16);
      await expect(take(bound, { bytes, before: version })).resolves.toMatchObject({ imported: { check } });
      await expect(take(bound, { before: version })).rejects.toMatchObject(OTHER_MATERIAL);
    });

    it('fills a version that was made without material', async () => {
      const making = new Permit<'CreateKey'>({ operation: 'CreateKey', tenant: ACME, versionId: draft.versionId });
      const { spec, usage } = parameters;
      const before = await imports().key.createKeyVersion(making, { ...draft, spec, usage, origin: 'EXTERNAL' }, 0);
      expect([before.blob.length, before.imported]).toEqual([0, undefined]);
      await expect(seal(before)).rejects.toThrow(KeyDestroyed);
      await expect(seal(await take(bound, { before }))).resolves.toBeDefined();
    });

    it('leaves a version without material when that is deleted; only the same comes back', async () => {
      const bytes = randomBytes(32);
      const version = await take(bound, { bytes });
      const sealed = await seal(version);
      const emptied = await empty(version);
      expect(emptied).toMatchObject({ keyId: version.keyId, imported: version.imported });
      expect(emptied.blob).toHaveLength(0);
      await expect(seal(emptied)).rejects.toThrow(KeyDestroyed);
      await expect(take(bound, { before: emptied })).rejects.toMatchObject(OTHER_MATERIAL);
      const back = await take(bound, { bytes, before: emptied });
      expect(Buffer.from(await imports().data.decrypt(using('Decrypt'), back, sealed)).toString()).toBe('x');
    });

    it.each([16, 17, 24, 25, 31, 33, 40])('is refused: an "AES_256" key of %i bytes', async (length) => {
      await expect(take(bound, { bytes: randomBytes(length) })).rejects.toMatchObject({ fields: [{ field: 'encryptedKeyMaterial' }] });
    });

    it('is refused: an "HMAC_256" key that is a byte too short, or too long; one that fits makes the MACs that it made elsewhere', async () => {
      const spec = { spec: 'HMAC_256', usage: 'GENERATE_VERIFY_MAC', algorithm: 'RSAES_OAEP_SHA_1' } as const;
      const { bound: macs, statement: of } = await create({ ...parameters, ...spec });
      for (const length of [31, 33])
        await expect(take(macs, { of, bytes: randomBytes(length) })).rejects.toMatchObject({ fields: [{ field: 'encryptedKeyMaterial' }] });
      const bytes = randomBytes(32);
      const version = await take(macs, { of, bytes });
      const permitted = new Permit<'GenerateMac'>({ operation: 'GenerateMac', tenant: ACME, versionId: draft.versionId });
      const mac = await imports().data.generateMac(permitted, version, Buffer.from('m'));
      expect(Buffer.from(mac)).toEqual(createHmac('sha256', bytes).update('m').digest());
    });

    const edits: Record<string, Partial<BoundImport>> = {
      key: { keyId: newKeyId(now + 1) },
      version: { versionId: newKeyVersionId(now + 1) },
      spec: { spec: 'AES_128' },
      usage: { usage: 'SIGN_VERIFY' },
      algorithm: { algorithm: 'RSAES_OAEP_SHA_1' },
      'end of the token': { expiresAt: parameters.expiresAt + 1 },
      token: { importToken: 'imp_01jdsz0000e008000000000002' as ImportToken },
      'wrapping key': { blob: randomBytes(2400) },
      MAC: { mac: Buffer.alloc(32) },
    };
    it.each(Object.entries(edits))('is refused with another %s than it was made for', async (_what, edit) => {
      await expect(take({ ...bound, ...edit })).rejects.toThrow(KeyBindingBroken);
    });

    it('forges nothing that is known of a version: not its check, nor its end', async () => {
      const version = await take(bound);
      const { imported, ...rest } = version;
      for (const edit of [{ validTo: 1 }, { inMemory: true }, { check: Buffer.alloc(16) }]) {
        const edited = { ...version, imported: { ...imported!, ...edit } };
        await expect(seal(edited)).rejects.toThrow(KeyBindingBroken);
        await expect(take(bound, { before: edited })).rejects.toThrow(KeyBindingBroken);
        await expect(empty(edited)).rejects.toThrow(KeyBindingBroken);
      }
      await expect(take(bound, { before: rest })).rejects.toThrow(KeyBindingBroken);
    });

    it('is refused, though genuine, when its time is over', async () => {
      const late = await create({ ...parameters, expiresAt: Date.now() - 1 });
      const refused = take(late.bound);
      await expect(refused).rejects.toMatchObject({ fields: [{ field: 'importToken', message: 'has expired' }] });
    });

    it('needs a permit for its version', async () => {
      await expect(create(parameters, permit(newKeyVersionId(now + 2)))).rejects.toThrow(PermitMisused);
      await expect(empty(await take(bound), newKeyVersionId(now + 3))).rejects.toThrow(PermitMisused);
    });
  });
}
