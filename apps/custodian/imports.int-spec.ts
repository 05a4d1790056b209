import { createDecipheriv, createPublicKey, randomBytes } from 'node:crypto';
import type { ImportToken, TenantId } from '#contract';
import {
  type BoundImport,
  type ImportParameters,
  KeyBindingBroken,
  newKeyVersionId,
  Permit,
  PermitMisused,
  type WrappedKeyVersion,
} from '#core';
import { encodeRow, type SocketCustody } from '#custody/socket';
import { parseVkey, StatementRefused, verifyImportStatement, vkey } from '#trail';
import { wrapped } from '../cli/commands/wrapped-material.js';
import { aDraft, permitFor } from '../../libs/testing/custody-contract.js';
import { TestCustodian, TestToken } from './test-bed.js';

const ACME = 'acme' as TenantId;
const TOKEN = 'imp_01jdsz0000e008000000000001' as ImportToken;
const ORIGIN = 'keyward.example/audit/log';

describe('an import, as the custodian takes it', () => {
  let token: TestToken;
  let custodian: TestCustodian;
  let key: SocketCustody;
  let data: SocketCustody;
  let bound: BoundImport;
  let statement: string;
  let signer: string;
  const { origin: _made, ...draft } = aDraft(ACME);
  const parameters: ImportParameters = {
    ...draft,
    ...{ importToken: TOKEN, algorithm: 'RSA_AES_KEY_WRAP_SHA_1', expiresAt: Date.now() + 3_600_000 },
  };
  const permit = (versionId = parameters.versionId) =>
    new Permit<'GetImportParameters'>({ operation: 'GetImportParameters', tenant: ACME, versionId });
  const take = async (row: BoundImport, more: { before?: WrappedKeyVersion; bytes?: Uint8Array } = {}) => {
    const { wrappingKey, algorithm } = await verifyImportStatement(statement, [parseVkey(signer)]);
    const encrypted = wrapped(Buffer.from(more.bytes ?? randomBytes(32)), { wrappingKey, algorithm });
    const importing = new Permit<'ImportKeyMaterial'>({ operation: 'ImportKeyMaterial', tenant: row.tenant, versionId: row.versionId });
    return key.importKeyMaterial(importing, row, { encrypted, publicKey: undefined, validTo: 0, before: more.before, root: 1 });
  };

  beforeAll(async () => {
    token = new TestToken();
    custodian = await TestCustodian.started(token);
    [key, data] = [await custodian.connect('key', 10_000), await custodian.connect('data', 10_000)];
    const onboarding = () => new Permit<'OnboardTenant'>({ operation: 'OnboardTenant', tenant: ACME });
    await key.createTenantRoot(onboarding(), 1);
    signer = vkey(ORIGIN, (await key.createLogKey(onboarding(), 1)).publicKey);
    ({ bound, statement } = await key.createImport(permit(), parameters, { origin: ORIGIN, keys: [1] }, 1));
  }, 60_000);
  afterAll(async () => {
    await custodian?.stop();
    token?.remove();
  });

  it("is told in a statement that the tenant's log key signs, and no other text passes for one", async () => {
    const told = await verifyImportStatement(statement, [parseVkey(signer)]);
    expect(told).toMatchObject({ tenant: ACME, keyId: draft.keyId, versionId: draft.versionId, spec: 'AES_256', importToken: TOKEN });
    const wrappingKey = createPublicKey({ key: Buffer.from(told.wrappingKey, 'base64'), format: 'der', type: 'spki' });
    expect(wrappingKey.asymmetricKeyDetails?.modulusLength).toBe(4096);
    await expect(verifyImportStatement(statement.replace('AES_256', 'AES_128'), [parseVkey(signer)])).rejects.toThrow(/signature/);
    const log = { logId: 'log_1', origin: ORIGIN, keys: [1] };
    const signing = await custodian.connect('worker');
    const checkpoint = await signing.signCheckpoint(ACME, log, { size: 1n, root: Buffer.alloc(32), proof: [] });
    await expect(verifyImportStatement(checkpoint, [parseVkey(signer)])).rejects.toThrow(StatementRefused);
  });

  it('makes a version that works, whose check is of the material and not of its bytes alone', async () => {
    const bytes = randomBytes(32);
    const version = await take(bound, { bytes });
    expect(version).toMatchObject({ origin: 'EXTERNAL', versionId: draft.versionId, imported: { validTo: 0, inMemory: false } });
    const sealed = await data.encrypt(permitFor('Encrypt', version), version, Buffer.from('x'));
    expect(Buffer.from(await data.decrypt(permitFor('Decrypt', version), version, sealed)).toString()).toBe('x');
    expect(Buffer.from(encodeRow(version)).includes(bytes)).toBe(false);
    const { check } = version.imported!;
    await expect(take(bound, { bytes, before: version })).resolves.toMatchObject({ imported: { check, inMemory: false } });
    await expect(take(bound, { before: version })).rejects.toMatchObject({
      fields: [{ message: expect.stringContaining('other material') }],
    });
  });

  const edits: Record<string, Partial<BoundImport>> = {
    version: { versionId: newKeyVersionId(1) },
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
    await expect(take(bound)).resolves.toBeDefined();
  });

  it('is refused, though genuine, when its time is over', async () => {
    const ended = { ...parameters, expiresAt: Date.now() - 1 };
    const late = await key.createImport(permit(), ended, { origin: ORIGIN, keys: [1] }, 1);
    await expect(take(late.bound)).rejects.toMatchObject({ fields: [{ field: 'importToken', message: 'has expired' }] });
  });

  it('forges nothing that is known of a version: not its check, nor its end', async () => {
    const version = await take(bound);
    const imported = version.imported!;
    for (const edit of [{ validTo: 1 }, { inMemory: true }, { check: Buffer.alloc(16) }]) {
      const edited = { ...version, imported: { ...imported, ...edit } };
      await expect(data.encrypt(permitFor('Encrypt', edited), edited, Buffer.from('x'))).rejects.toThrow(KeyBindingBroken);
    }
  });

  it('takes no other material for a version whose row was edited to have had none, or another', async () => {
    const { imported, ...rest } = await take(bound);
    await expect(take(bound, { before: rest })).rejects.toThrow(KeyBindingBroken);
    const edited = { ...rest, imported: { ...imported!, check: Buffer.alloc(16) } };
    await expect(take(bound, { before: edited })).rejects.toThrow(KeyBindingBroken);
  });

  it('needs a permit for this version', async () => {
    const other = permit(newKeyVersionId(1));
    await expect(key.createImport(other, parameters, { origin: ORIGIN, keys: [1] }, 1)).rejects.toThrow(PermitMisused);
  });
});

const WRAP = 'RSA_AES_KEY_WRAP_SHA_256';
/** SoftHSM does not know OAEP with SHA-256. */
describe.each([
  ['ephemeral', true],
  ['refused', false],
])(`an import by ${WRAP}, where memory is %s`, (allowed, isOffered) => {
  let token: TestToken;
  let custodian: TestCustodian;
  let key: SocketCustody;
  let signer: string;
  const { origin: _made, ...draft } = aDraft(ACME);
  const parameters: ImportParameters = { ...draft, importToken: TOKEN, algorithm: WRAP, expiresAt: Date.now() + 3_600_000 };
  const permit = new Permit<'OnboardTenant'>({ operation: 'OnboardTenant', tenant: ACME });

  beforeAll(async () => {
    token = new TestToken({ KEYWARD_IMPORT_IN_MEMORY: allowed });
    custodian = await TestCustodian.started(token);
    key = await custodian.connect('key', 10_000);
    await key.createTenantRoot(permit, 1);
    signer = vkey(ORIGIN, (await key.createLogKey(new Permit({ operation: 'OnboardTenant', tenant: ACME }), 1)).publicKey);
  }, 60_000);
  afterAll(async () => {
    await custodian?.stop();
    token?.remove();
  });

  const asked = async () => {
    const permitted = new Permit<'GetImportParameters'>({ operation: 'GetImportParameters', tenant: ACME, versionId: draft.versionId });
    const { bound, statement } = await key.createImport(permitted, parameters, { origin: ORIGIN, keys: [1] }, 1);
    return { bound, told: await verifyImportStatement(statement, [parseVkey(signer)]) };
  };
  const take = (bound: BoundImport, encrypted: Uint8Array) =>
    key.importKeyMaterial(new Permit({ operation: 'ImportKeyMaterial', tenant: ACME, versionId: draft.versionId }), bound, {
      ...{ encrypted, publicKey: undefined, validTo: 0, before: undefined, root: 1 },
    });

  it(`is ${isOffered ? 'offered, and marked' : 'refused'}`, async () => {
    const { algorithms, inMemory } = await key.capabilities();
    expect([algorithms[WRAP] === undefined, inMemory]).toEqual([isOffered, isOffered ? [WRAP] : []]);
    expect(algorithms.RSAES_OAEP_SHA_256).toMatch(/CKR_/);
    const { bound, told } = await asked();
    const bytes = randomBytes(32);
    const taken = take(bound, wrapped(Buffer.from(bytes), told));
    if (!isOffered) return await expect(taken).rejects.toMatchObject({ fields: [{ field: 'algorithm' }] });
    const version = await taken;
    expect(version.imported).toMatchObject({ inMemory: true });
    const data = await custodian.connect('data');
    const { iv, ciphertext } = await data.encrypt(permitFor('Encrypt', version), version, Buffer.from('x'));
    // With the bytes themselves, elsewhere.
    const aad = permitFor('Encrypt', version).aad!;
    const opening = createDecipheriv('aes-256-gcm', bytes, iv).setAAD(aad).setAuthTag(ciphertext.subarray(-16));
    expect(Buffer.concat([opening.update(ciphertext.subarray(0, -16)), opening.final()]).toString()).toBe('x');
  });

  it('answers alike, whichever byte was changed', async () => {
    const { bound, told } = await asked();
    const encrypted = wrapped(randomBytes(32), told);
    const refusals = new Set<string>();
    for (const at of [0, 1, 100, 511, 512, 520, encrypted.length - 1]) {
      const changed = Buffer.from(encrypted);
      changed[at]! ^= 1;
      await take(bound, changed).catch((error: unknown) => refusals.add(JSON.stringify(error)));
    }
    expect(refusals.size).toBe(1);
    // What is not changed is taken, if it may be.
    const outcome = await take(bound, encrypted).then(
      () => 'taken',
      () => 'refused',
    );
    expect(outcome).toBe(isOffered ? 'taken' : 'refused');
  });
});
