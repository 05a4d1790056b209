import { createCipheriv, generateKeyPairSync, randomBytes, verify } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { DATA_OPERATIONS } from '#contract';
import { KeywardClient } from '#sdk';
import { trailOf } from '../faults/trail-of.js';
import { must } from './api.js';
import { CommandLine } from './command-line.js';
import { type Onboarded, onboarded } from './onboarded.js';

/** Bring your own key: by the command line of an admin who pinned the log's key, on a whole platform. */
describe('key material of a tenant', () => {
  let world: Onboarded;
  let admin: CommandLine;
  let client: KeywardClient;
  const tenant = 'acme';

  beforeAll(async () => {
    world = await onboarded();
    const { keyPlane, dataPlanes } = world.platform.urls;
    await must(keyPlane, world.operator, 'PUT', '/v1/services/billing/catalogue', { operations: DATA_OPERATIONS });
    const grants = [{ id: 'everything', subjects: ['svc:billing'], objects: ['*'], operations: ['@all'] }];
    await must(keyPlane, world.acme.admin, 'PUT', '/v1/tenants/acme/policy', { schema: 'keyward.policy/1', grants }, { 'if-match': '"1"' });
    admin = new CommandLine(world, world.acme, 'admin');
    client = new KeywardClient({ apiKey: world.billing, url: dataPlanes[0]! });
  }, 180_000);
  afterAll(async () => {
    client?.close();
    admin?.remove();
    await world?.stop();
  }, 60_000);

  const aKey = async (spec: string, ...more: string[]) =>
    String((await admin.json('key', 'create', '--spec', spec, '--origin', 'EXTERNAL', ...more))['keyId']);
  const fileOf = (bytes: Buffer | string) => {
    const file = admin.file(`material-${randomBytes(4).toString('hex')}`);
    writeFileSync(file, bytes, { mode: 0o600 });
    return file;
  };
  const take = (keyId: string, material: Buffer | string, ...more: string[]) =>
    admin.json('import', keyId, '--material', fileOf(material), ...more);
  const ask = (method: string, path: string, body?: object) =>
    must(world.platform.urls.keyPlane, world.acme.admin, method, `/v1/tenants/acme/keys/${path}`, body);
  const seal = (keyId: string) => client.encrypt({ tenant, keyId, plaintext: Buffer.from('x') });
  const REFUSED = (field: string, message: RegExp) => ({
    code: 'invalid-request',
    fields: [{ field, message: expect.stringMatching(message) }],
  });

  it.each([
    ['AES_256', 32, 'RSA_AES_KEY_WRAP_SHA_1'],
    ['AES_128', 16, 'RSAES_OAEP_SHA_1'],
  ] as const)('of %s is used as it is: elsewhere it opens the same', async (spec, length, algorithm) => {
    const keyId = await aKey(spec);
    await expect(seal(keyId)).rejects.toMatchObject({ code: 'key-pending-import' });
    const material = randomBytes(length);
    const described = await take(keyId, Buffer.from(material), '--algorithm', algorithm);
    expect(described).toMatchObject({ state: 'Enabled', origin: 'EXTERNAL', checkValue: expect.stringMatching(/^[0-9a-f]{10}$/) });
    expect(described['checkValue']).not.toBe(ecbOfZeros(material));
    const { ciphertext } = await seal(keyId);
    const { plaintext } = await client.decrypt({ tenant, ciphertext });
    expect(Buffer.from(plaintext).toString()).toBe('x');
    // The same bytes by node:crypto: GCM under the header and context as of docs/formats.md.
    const [header, iv, sealed] = [ciphertext.subarray(0, 21), ciphertext.subarray(21, 33), ciphertext.subarray(33)];
    const name = Buffer.from(tenant);
    const aad = Buffer.concat([header, Buffer.from([0, name.length]), name]);
    const again = createCipheriv(length === 32 ? 'aes-256-gcm' : 'aes-128-gcm', material, iv).setAAD(aad);
    expect(Buffer.concat([again.update('x'), again.final(), again.getAuthTag()])).toEqual(Buffer.from(sealed));
  });

  it('lists what the worker does by the clock', async () => {
    const looked = async () => {
      const { items } = (await admin.json('jobs')) as { items: { kind: string; lookedAt?: string }[] };
      return items.filter(({ lookedAt }) => lookedAt !== undefined).map(({ kind }) => kind);
    };
    const some = ['destroy-key', 'drop-expired-imports', 'heartbeats'];
    let kinds: string[] = [];
    while (!some.every((kind) => kinds.includes(kind))) kinds = await looked();
    expect((await admin.run('jobs')).out).toMatch(/KIND +LOOKED +NEXT +FAILING/);
  });

  it('of HMAC_384 makes the MACs that it made elsewhere', async () => {
    const { createHmac } = await import('node:crypto');
    const [keyId, material] = [await aKey('HMAC_384'), randomBytes(48)];
    await take(keyId, Buffer.from(material));
    const message = Buffer.from('m');
    const { mac } = await client.generateMac({ tenant, keyId, message });
    expect(Buffer.from(mac)).toEqual(createHmac('sha384', material).update(message).digest());
  });

  it.each([
    ['EC_P256', 'ECDSA_SHA_256', () => generateKeyPairSync('ec', { namedCurve: 'prime256v1' })],
    ['RSA_2048', 'RSASSA_PKCS1_V1_5_SHA_256', () => generateKeyPairSync('rsa', { modulusLength: 2048 })],
  ] as const)('of %s signs, and the public key from before verifies', async (spec, algorithm, make) => {
    const keyId = await aKey(spec, ...(spec === 'RSA_2048' ? ['--usage', 'SIGN_VERIFY'] : []));
    const { publicKey, privateKey } = make();
    await take(keyId, Buffer.from(privateKey.export({ format: 'pem', type: 'pkcs8' })));
    const message = Buffer.from('pay 100');
    const { signature } = await client.sign({ tenant, keyId, algorithm, message });
    expect(verify('sha256', message, publicKey, signature)).toBe(true);
    expect((await client.getPublicKey({ tenant, keyId })).pem).toBe(publicKey.export({ format: 'pem', type: 'spki' }));
  });

  it('goes and comes back the same, and no other', async () => {
    const [keyId, material] = [await aKey('AES_256'), randomBytes(32)];
    const { checkValue } = await take(keyId, Buffer.from(material));
    const { ciphertext } = await seal(keyId);
    expect(await admin.json('key', 'delete-material', keyId)).toMatchObject({ state: 'PendingImport', checkValue });
    await expect(client.decrypt({ tenant, ciphertext })).rejects.toMatchObject({ code: 'key-pending-import' });
    expect((await admin.run('import', keyId, '--material', fileOf(randomBytes(32)))).talk).toMatch(/other material/);
    expect(await take(keyId, Buffer.from(material))).toMatchObject({ state: 'Enabled', checkValue });
    expect(Buffer.from((await client.decrypt({ tenant, ciphertext })).plaintext).toString()).toBe('x');
  });

  it('may go while its key waits for its end, and come back when that is cancelled', async () => {
    const [keyId, material] = [await aKey('AES_256'), randomBytes(32)];
    await take(keyId, Buffer.from(material));
    const { ciphertext } = await seal(keyId);
    await ask('POST', `${keyId}/schedule-deletion`, { pendingDays: 7 });
    expect(await admin.json('key', 'delete-material', keyId)).toMatchObject({ state: 'PendingDeletion' });
    await ask('POST', `${keyId}/cancel-deletion`);
    await expect(seal(keyId)).rejects.toMatchObject({ code: 'key-pending-import' });
    await take(keyId, Buffer.from(material));
    await expect(client.decrypt({ tenant, ciphertext })).resolves.toHaveProperty('plaintext');
  });

  it('of a disabled key that ended leaves it disabled when it comes back', async () => {
    const [keyId, material] = [await aKey('AES_256'), randomBytes(32)];
    const validTo = new Date(Date.now() + 4000).toISOString();
    await take(keyId, Buffer.from(material), '--valid-to', validTo);
    await ask('POST', `${keyId}/disable`);
    while (Date.now() < Date.parse(validTo)) await new Promise((resolve) => setTimeout(resolve, 100));
    expect(await take(keyId, Buffer.from(material))).toMatchObject({ state: 'Disabled' });
    await expect(seal(keyId)).rejects.toMatchObject({ code: 'key-disabled' });
  });

  it('of a new version is primary once it is there; the older one goes on opening', async () => {
    const keyId = await aKey('AES_256');
    const first = await take(keyId, randomBytes(32));
    const before = await seal(keyId);
    const second = await take(keyId, randomBytes(32));
    expect(second['primaryVersion']).not.toBe(first['primaryVersion']);
    expect((await seal(keyId)).keyVersionId).toBe(second['primaryVersion']);
    await expect(client.decrypt({ tenant, ciphertext: before.ciphertext })).resolves.toHaveProperty('plaintext');
    await expect(ask('POST', `${keyId}/versions`, {})).rejects.toThrow(/imported material/);
  });

  it('is not used from its end on, and lives again when it is imported again', async () => {
    const [keyId, material] = [await aKey('AES_256'), randomBytes(32)];
    const validTo = new Date(Date.now() + 6000).toISOString();
    expect(await take(keyId, Buffer.from(material), '--valid-to', validTo)).toMatchObject({ state: 'Enabled', validTo });
    await expect(seal(keyId)).resolves.toBeDefined();
    while (Date.now() < Date.parse(validTo)) await new Promise((resolve) => setTimeout(resolve, 100));
    await expect(seal(keyId)).rejects.toMatchObject({ code: 'key-pending-import' });
    expect(await admin.json('key', 'describe', keyId)).toMatchObject({ state: 'PendingImport' });
    expect(await take(keyId, Buffer.from(material))).toMatchObject({ state: 'Enabled' });
    await expect(seal(keyId)).resolves.toBeDefined();
  });

  it('moves to its newest version by a file, with a certificate, and its older one may go', async () => {
    const { keyId, primaryVersion: from } = await admin.json('key', 'create');
    const context = { purpose: 'invoice' };
    const lines = await Promise.all(
      ['row-1', 'row-2', 'rów-3'].map(async (itemId) => {
        const { ciphertext } = await client.generateDataKeyWithoutPlaintext({ tenant, keyId: String(keyId), context });
        return JSON.stringify({ itemId, ciphertext: Buffer.from(ciphertext).toString('base64'), context });
      }),
    );
    const file = fileOf(`${lines.join('\n')}\n\n`);
    const { primaryVersion: to } = await admin.json('key', 'rotate', String(keyId));
    const begun = await admin.json('rewrap', 'start', String(keyId), '--from', String(from), '--service', 'billing');
    const operation = String(begun['operationId']);
    const references = ['rewrap', 'references', String(keyId), String(from)];
    expect(await admin.json(...references)).toMatchObject({ references: [{ kind: 'open-operation', service: 'billing' }] });

    const moved = admin.file('moved.jsonl');
    const run = await admin.asBilling(world, 'rewrap', 'run', operation, '--file', file, '--out', moved, '--json');
    expect([run.exit, JSON.parse(run.out)]).toMatchObject([
      0,
      { state: 'succeeded', progress: { population: 3, done: 3, kept: 0, failed: 0 } },
    ]);
    const results = readFileSync(moved, 'utf8')
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as { itemId: string; ciphertext: string });
    expect(results.map(({ itemId }) => itemId)).toEqual(['row-1', 'row-2', 'rów-3']);
    for (const { ciphertext } of results)
      expect(await client.decrypt({ tenant, ciphertext: Buffer.from(ciphertext, 'base64'), context })).toMatchObject({ keyVersionId: to });

    expect((await admin.run('operation', 'watch', operation)).exit).toBe(0);
    const { out: certificate } = await admin.run('operation', 'certificate', operation);
    expect((await admin.run('verify-certificate', fileOf(certificate))).exit).toBe(0);
    expect((await admin.run('verify-certificate', fileOf(certificate.replace('failed: 0', 'failed: 1')))).exit).toBe(6);
    // What was just opened may be held for some minutes, under whichever version it was.
    expect((await admin.json(...references))['references']).toMatchObject([{ kind: 'leases', service: 'billing' }]);
    expect((await admin.run('rewrap', 'retire', String(keyId), String(from), '--confirm', String(from))).exit).toBe(4);
  });

  describe('that is not right', () => {
    const parameters = async (keyId: string, algorithm = 'RSAES_OAEP_SHA_1') =>
      (await ask('POST', `${keyId}/import-parameters`, { algorithm })).body as { importToken: string; statement: string };
    const wrap = async (statement: string, bytes: Buffer, algorithm = 'RSAES_OAEP_SHA_1') => {
      const { wrapped } = await import('../../apps/cli/commands/wrapped-material.js');
      const wrappingKey = /wrapping-key: (.*)/.exec(statement)?.[1] ?? '';
      return wrapped(bytes, { wrappingKey, algorithm }).toString('base64');
    };
    const attempt = async (keyId: string, importToken: string, encryptedKeyMaterial: string, as = world.acme, in_ = 'acme') => {
      const response = await fetch(`${world.platform.urls.keyPlane}/v1/tenants/${in_}/keys/${keyId}/import`, {
        method: 'POST',
        headers: { authorization: `Bearer ${as.admin}`, 'content-type': 'application/json' },
        body: JSON.stringify({ importToken, encryptedKeyMaterial }),
      });
      const { code, errors = [] } = (await response.json()) as { code?: string; errors?: { field: string; message: string }[] };
      return { status: response.status, code, fields: errors };
    };

    it.each([
      ['RSAES_OAEP_SHA_1', 17],
      ['RSAES_OAEP_SHA_1', 24],
      ['RSA_AES_KEY_WRAP_SHA_1', 24],
      ['RSA_AES_KEY_WRAP_SHA_1', 17],
      ['RSA_AES_KEY_WRAP_SHA_1', 16],
    ])('is refused: by %s an "AES" key of %i bytes', async (algorithm, length) => {
      const keyId = await aKey('AES_256');
      const { importToken, statement } = await parameters(keyId, algorithm);
      const refused = await attempt(keyId, importToken, await wrap(statement, randomBytes(length), algorithm));
      expect(refused).toMatchObject(REFUSED('encryptedKeyMaterial', /no key of this spec/));
      // It was not spent.
      expect(await attempt(keyId, importToken, await wrap(statement, randomBytes(32), algorithm))).toMatchObject({ status: 200 });
      expect(await attempt(keyId, importToken, await wrap(statement, randomBytes(32), algorithm))).toMatchObject(
        REFUSED('importToken', /was used/),
      );
    });

    it("is refused under another key's token, another tenant's, and one that nobody made", async () => {
      const [keyId, other] = [await aKey('AES_256'), await aKey('AES_256')];
      const mine = await parameters(keyId);
      const material = await wrap(mine.statement, randomBytes(32));
      expect(await attempt(other, mine.importToken, material)).toMatchObject(REFUSED('importToken', /not one of this key/));
      expect(await attempt(keyId, 'imp_01jdsz0000e008000000000001', material)).toMatchObject(REFUSED('importToken', /not one of this key/));
      expect(await attempt(keyId, mine.importToken, material, world.globex, 'globex')).toMatchObject({ status: 404 });
      const wrongKey = await parameters(other);
      expect(await attempt(keyId, mine.importToken, await wrap(wrongKey.statement, randomBytes(32)))).toMatchObject(
        REFUSED('encryptedKeyMaterial', /no key of this spec/),
      );
      expect(await attempt(keyId, mine.importToken, material)).toMatchObject({ status: 200 });
    });

    it('is taken once, however often it is sent at once', async () => {
      const keyId = await aKey('AES_256');
      const { importToken, statement } = await parameters(keyId);
      const material = await wrap(statement, randomBytes(32));
      const outcomes = await Promise.all(Array.from({ length: 6 }, () => attempt(keyId, importToken, material)));
      expect(outcomes.filter(({ status }) => status === 200)).toHaveLength(1);
    });

    it('is not asked for in a way that this HSM cannot do, nor of a key that was made in it', async () => {
      const keyId = await aKey('AES_256');
      for (const algorithm of ['RSAES_OAEP_SHA_256', 'RSA_AES_KEY_WRAP_SHA_256'])
        await expect(parameters(keyId, algorithm)).rejects.toThrow(/the HSM cannot do it/);
      await expect(parameters(world.acme.keyId)).rejects.toThrow(/made in the HSM/);
      await expect(parameters(await aKey('EC_P256'))).rejects.toThrow(/symmetric keys/);
    });

    it('is not wrapped at all where the statement is not signed by the key that was pinned', async () => {
      const keyId = await aKey('AES_256');
      const said = await admin.run('import', keyId, '--material', fileOf(randomBytes(32)), '--vkey', world.globex.vkey);
      expect([said.exit, said.out]).toEqual([6, '']);
      expect(said.talk).toMatch(/Nothing was wrapped/);
    });

    it('is told on this machine', async () => {
      const keyId = await aKey('AES_256');
      expect((await admin.run('import', keyId, '--material', fileOf(randomBytes(24)))).talk).toMatch(/has 32 bytes; the file has 24/);
      expect((await admin.run('import', keyId, '--material', '/nowhere')).talk).toMatch(/cannot be read/);
    });
  });
});

/** Where the operator allows that an ephemeral key passes the custodian's memory. */
describe('key material by RSA_AES_KEY_WRAP_SHA_256', () => {
  const algorithm = 'RSA_AES_KEY_WRAP_SHA_256';
  let world: Onboarded;
  let admin: CommandLine;
  beforeAll(async () => {
    world = await onboarded({ env: { KEYWARD_IMPORT_IN_MEMORY: 'ephemeral' } });
    admin = new CommandLine(world, world.acme, 'admin');
  }, 180_000);
  afterAll(async () => {
    admin?.remove();
    await world?.stop();
  }, 60_000);

  it('is taken, and marked for good: in what is told, in the record, after it went and came', async () => {
    const { algorithms } = (await admin.json('capabilities')) as unknown as { algorithms: object[] };
    expect(algorithms).toContainEqual({ algorithm, available: true, inMemory: true });
    expect(algorithms).toContainEqual(expect.objectContaining({ algorithm: 'RSAES_OAEP_SHA_256', available: false }));
    const keyId = String((await admin.json('key', 'create', '--spec', 'AES_256', '--origin', 'EXTERNAL'))['keyId']);
    const material = randomBytes(32);
    const take = (by: string) => {
      const file = admin.file(`material-${by}`);
      writeFileSync(file, material, { mode: 0o600 });
      return admin.json('import', keyId, '--material', file, '--algorithm', by);
    };
    const { checkValue, primaryVersion } = await take(algorithm);
    expect(await admin.json('key', 'describe', keyId)).toMatchObject({ state: 'Enabled', inMemory: true, checkValue });
    const records = await trailOf(world.platform.superuserUrl, 'acme');
    expect(records.findLast(({ op }) => op === 'ImportKeyMaterial')).toMatchObject({
      outcome: 'succeeded',
      body: { change: { inMemory: true } },
    });
    expect(await admin.json('key', 'delete-material', keyId)).toMatchObject({ state: 'PendingImport', inMemory: true });
    expect(await take('RSA_AES_KEY_WRAP_SHA_1')).toMatchObject({ state: 'Enabled', primaryVersion, inMemory: true, checkValue });
  });
});

function ecbOfZeros(key: Buffer): string {
  const ecb = createCipheriv(key.length === 32 ? 'aes-256-ecb' : 'aes-128-ecb', key, null);
  return ecb.update(Buffer.alloc(16)).toString('hex', 0, 5);
}
