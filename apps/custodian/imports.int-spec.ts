import { createDecipheriv, createPublicKey, randomBytes } from 'node:crypto';
import type { ImportToken, TenantId } from '#contract';
import { type BoundImport, type ImportParameters, Permit } from '#core';
import type { SocketCustody } from '#custody/socket';
import { parseVkey, StatementRefused, verifyImportStatement, vkey } from '#trail';
import { wrapped } from '../cli/commands/wrapped-material.js';
import { aDraft, permitFor } from '../../libs/testing/custody-contract.js';
import { TestCustodian, TestToken } from './test-bed.js';

const ACME = 'acme' as TenantId;
const TOKEN = 'imp_01jdsz0000e008000000000001' as ImportToken;
const ORIGIN = 'keyward.example/audit/log';

/** What imports are is in libs/testing/imports-contract.ts. */
describe('an import, as the custodian takes it', () => {
  it('is told in a statement that no other text passes for, for a wrapping key of 4096 bits', async () => {
    const token = new TestToken();
    const custodian = await TestCustodian.started(token);
    try {
      const [key, signing] = [await custodian.connect('key', 10_000), await custodian.connect('worker')];
      const onboarding = () => new Permit<'OnboardTenant'>({ operation: 'OnboardTenant', tenant: ACME });
      await key.createTenantRoot(onboarding(), 1);
      const pinned = [parseVkey(vkey(ORIGIN, (await key.createLogKey(onboarding(), 1)).publicKey))];
      const { origin: _made, ...draft } = aDraft(ACME);
      const parameters = { ...draft, importToken: TOKEN, algorithm: 'RSAES_OAEP_SHA_1' as const, expiresAt: Date.now() + 3_600_000 };
      const permit = new Permit<'GetImportParameters'>({ operation: 'GetImportParameters', tenant: ACME, versionId: draft.versionId });
      const { statement } = await key.createImport(permit, parameters, { origin: ORIGIN, keys: [1] }, 1);
      const told = await verifyImportStatement(statement, pinned);
      const wrappingKey = createPublicKey({ key: Buffer.from(told.wrappingKey, 'base64'), format: 'der', type: 'spki' });
      expect(wrappingKey.asymmetricKeyDetails?.modulusLength).toBe(4096);
      const log = { logId: 'log_1', origin: ORIGIN, keys: [1] };
      const checkpoint = await signing.signCheckpoint(ACME, log, { size: 1n, root: Buffer.alloc(32), proof: [] });
      await expect(verifyImportStatement(checkpoint, pinned)).rejects.toThrow(StatementRefused);
    } finally {
      await custodian.stop();
      token.remove();
    }
  }, 60_000);
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
