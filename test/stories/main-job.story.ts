import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { OPERATION_NAMES } from '#contract';
import { verifyBundle } from '#trail';
import { api, must } from './api.js';
import { type Onboarded, onboarded } from './onboarded.js';

const CONTEXT = { purpose: 'invoice' };
const PLAINTEXT = Buffer.from('DE02 1001 0010 0006 8201 51').toString('base64');

/** The main job over the wire, one tenant beside another, on one running platform. */
describe('a customer holds its own key', () => {
  let world: Onboarded;
  beforeAll(async () => {
    world = await onboarded();
  }, 180_000);
  afterAll(() => world?.stop(), 60_000);

  const data = (path: string, body: unknown, tenant = 'acme', key = world.billing) =>
    api(world.platform.urls.dataPlanes[0]!, key, 'POST', `/v1/tenants/${tenant}/${path}`, body);
  const admin = (method: string, path: string, body?: unknown, headers?: Record<string, string>) =>
    api(world.platform.urls.keyPlane, world.acme.admin, method, `/v1/tenants/acme${path}`, body, headers);
  const records = async (query: string, auditor = world.acme.auditor, tenant = 'acme') =>
    (await must(world.platform.urls.auditor, auditor, 'GET', `/v1/tenants/${tenant}/records?${query}`)).body['items'] as Record<
      string,
      unknown
    >[];
  const recordOf = async (requestId: string | null, auditor?: string, tenant?: string) =>
    (await records(`requestId=${requestId}`, auditor, tenant))[0];

  it('begins its log with the admin and the key that signs it', async () => {
    const [first] = await records('limit=1');
    expect(first).toMatchObject({ seq: 0, op: 'Enrol', outcome: 'succeeded', change: { role: 'admin', vkey: world.acme.vkey } });
  });

  it('tells which build kept a record, of which spec a key is and in which token it was made, and the caller’s trace', async () => {
    const platform = expect.stringMatching(/^keyward\.local\/\d+\.\d+\.\d+\+[0-9a-f]{12}$/) as string;
    const [made] = await records('op=CreateKey&limit=1');
    expect(made).toMatchObject({
      platform,
      key: { spec: 'AES_256', origin: 'KEYWARD' },
      hsm: { serial: expect.stringMatching(/\S/) as string, firmware: expect.stringMatching(/^\d+\.\d+$/) as string },
    });
    const traceId = '0af7651916cd43dd8448eb211c80319c';
    const asked = { keyId: 'alias/invoices', encryptionContext: CONTEXT };
    const used = await api(world.platform.urls.dataPlanes[0]!, world.billing, 'POST', '/v1/tenants/acme/data-keys', asked, {
      traceparent: `00-${traceId}-b7ad6b7169203331-01`,
    });
    expect(await recordOf(used.requestId)).toMatchObject({
      platform,
      key: { spec: 'AES_256', origin: 'KEYWARD', state: 'Enabled' },
      crypto: { mode: 'data-key', plaintextSize: '≤32' },
      request: { traceId },
    });
  });

  it('takes an enrolment code once', async () => {
    const { body } = await must(world.platform.urls.keyPlane, world.operator, 'POST', '/v1/tenants', {
      tenant: 'initech',
      displayName: 'Initech',
    });
    const enrol = () =>
      api(world.platform.urls.keyPlane, String(body['enrolmentCode']), 'POST', '/v1/tenants/initech/enrol', { admin: 'bill' });
    expect((await enrol()).status).toBe(201);
    expect((await enrol()).status).toBe(401);
  });

  it('encrypts and decrypts a field, and both are records that name the grant', async () => {
    const sealed = await data('encrypt', { keyId: 'alias/invoices', plaintext: PLAINTEXT, encryptionContext: CONTEXT });
    expect(sealed.status).toBe(200);
    const opened = await data('decrypt', { ciphertext: sealed.body['ciphertext'], encryptionContext: CONTEXT });
    expect(opened.body).toMatchObject({ plaintext: PLAINTEXT, keyId: world.acme.keyId });
    expect(await recordOf(opened.requestId)).toMatchObject({
      seq: opened.seq,
      op: 'Decrypt',
      outcome: 'succeeded',
      authz: { decision: 'allow', ruleId: 'billing-invoices', policyVersion: 1 },
    });
  });

  it('opens a data key by Decrypt', async () => {
    const made = await data('data-keys', { keyId: 'alias/invoices', encryptionContext: CONTEXT });
    const opened = await data('decrypt', { ciphertext: made.body['ciphertext'], encryptionContext: CONTEXT });
    expect(opened.body['plaintext']).toBe(made.body['plaintext']);
    const blind = await data('data-keys/without-plaintext', { keyId: 'alias/invoices', encryptionContext: CONTEXT, numberOfBytes: 64 });
    expect(blind.body).not.toHaveProperty('plaintext');
    const length = Buffer.from(
      String((await data('decrypt', { ciphertext: blind.body['ciphertext'], encryptionContext: CONTEXT })).body['plaintext']),
      'base64',
    ).length;
    expect(length).toBe(64);
  });

  describe('what must fail fails, with the truth in the record', () => {
    const seal = async () =>
      String((await data('encrypt', { keyId: 'alias/invoices', plaintext: PLAINTEXT, encryptionContext: CONTEXT })).body['ciphertext']);
    const flipped = (ciphertext: string, at: number) => {
      const bytes = Buffer.from(ciphertext, 'base64');
      bytes[at < 0 ? bytes.length + at : at]! ^= 1;
      return bytes.toString('base64');
    };
    const cases: [string, () => Promise<Awaited<ReturnType<typeof data>>>, number, string, string][] = [
      [
        'another purpose',
        () => data('encrypt', { keyId: 'alias/invoices', plaintext: PLAINTEXT, encryptionContext: { purpose: 'payroll' } }),
        403,
        'not-granted',
        'no-grant',
      ],
      ['no context', () => data('encrypt', { keyId: 'alias/invoices', plaintext: PLAINTEXT }), 403, 'not-granted', 'no-grant'],
      [
        "another tenant's key",
        () => data('encrypt', { keyId: world.globex.keyId, plaintext: PLAINTEXT, encryptionContext: CONTEXT }),
        403,
        'not-granted',
        'unknown-key',
      ],
      [
        'a tampered ciphertext',
        async () => data('decrypt', { ciphertext: flipped(await seal(), -1), encryptionContext: CONTEXT }),
        400,
        'decrypt-failed',
        'wrong-tag-or-context',
      ],
      [
        'a tampered header',
        async () => data('decrypt', { ciphertext: flipped(await seal(), 3), encryptionContext: CONTEXT }),
        400,
        'decrypt-failed',
        '',
      ],
      [
        'the right ciphertext under a context that is not its own',
        async () => data('decrypt', { ciphertext: await seal(), encryptionContext: { purpose: 'payroll' } }),
        403,
        'not-granted',
        'no-grant',
      ],
    ];
    it.each(cases)('%s', async (_, attempt, status, code, reason) => {
      const answer = await attempt();
      expect(answer).toMatchObject({ status, body: { code } });
      const record = await recordOf(answer.requestId);
      expect(record).toMatchObject({ seq: answer.seq, error: { code } });
      if (reason !== '') expect((record?.['error'] as { reason: string }).reason).toContain(reason);
    });

    it('in a tenant that granted nothing, and the refusal is in its own log', async () => {
      const answer = await data('encrypt', { keyId: 'alias/invoices', plaintext: PLAINTEXT, encryptionContext: CONTEXT }, 'globex');
      expect(answer).toMatchObject({ status: 403, body: { code: 'not-granted' } });
      expect(await recordOf(answer.requestId, world.globex.auditor, 'globex')).toMatchObject({ error: { reason: 'no-grant' } });
    });

    it('a ciphertext of one tenant in another', async () => {
      const answer = await data('decrypt', { ciphertext: await seal(), encryptionContext: CONTEXT }, 'globex');
      expect(answer).toMatchObject({ status: 403, body: { code: 'not-granted' } });
    });
  });

  describe('bad input of a known caller is a 4xx that names the field, and a record', () => {
    const good = { keyId: 'alias/invoices', plaintext: PLAINTEXT, encryptionContext: CONTEXT };
    const asData =
      (body: unknown, path = 'encrypt') =>
      () =>
        data(path, body);
    const policy = (document: unknown) => () => admin('PUT', '/policy', document, { 'if-match': '"1"' });
    it.each<[string, () => ReturnType<typeof data>, number, string | undefined]>([
      ['malformed JSON', asData('{"keyId":'), 400, 'body'],
      ['no body', () => api(world.platform.urls.dataPlanes[0]!, world.billing, 'POST', '/v1/tenants/acme/encrypt', '', {}), 400, 'body'],
      ['a body that is no object', asData('[]'), 400, 'body'],
      ['wrong base64', asData({ ...good, plaintext: 'a===' }), 400, 'plaintext'],
      ['6145 bytes of plaintext', asData({ ...good, plaintext: Buffer.alloc(6145).toString('base64') }), 400, 'plaintext'],
      ['no plaintext at all', asData({ ...good, plaintext: '' }), 400, 'plaintext'],
      ['an unknown field', asData({ ...good, iv: 'AAAA' }), 400, 'iv'],
      ['a key that is neither id nor alias', asData({ ...good, keyId: 'invoices' }), 400, 'keyId'],
      [
        'a lone surrogate',
        asData('{"keyId":"alias/invoices","plaintext":"AA==","encryptionContext":{"k":"\\ud800"}}'),
        400,
        'encryptionContext.k',
      ],
      ['an oversized context', asData({ ...good, encryptionContext: { k: 'x'.repeat(9000) } }), 400, 'encryptionContext'],
      ['a reserved context name', asData({ ...good, encryptionContext: { 'keyward:x': '1' } }), 400, 'encryptionContext.keyward:x'],
      ['1025 bytes of data key', asData({ keyId: 'alias/invoices', numberOfBytes: 1025 }, 'data-keys'), 400, 'numberOfBytes'],
      [
        'another media type',
        () =>
          api(world.platform.urls.dataPlanes[0]!, world.billing, 'POST', '/v1/tenants/acme/encrypt', 'x', { 'content-type': 'text/plain' }),
        415,
        undefined,
      ],
      ['a body over the limit', asData({ ...good, plaintext: 'A'.repeat(100_000) }), 413, undefined],
      ['an unknown field in a policy', policy({ schema: 'keyward.policy/1', grants: [], permit: [] }), 400, 'permit'],
      [
        'an unknown condition',
        policy({
          schema: 'keyward.policy/1',
          grants: [{ id: 'a', subjects: ['svc:b'], objects: ['*'], operations: ['Encrypt'], when: { hour: 9 } }],
        }),
        400,
        'grants.0.when.hour',
      ],
      [
        'an unknown operation in a policy',
        policy({ schema: 'keyward.policy/1', grants: [{ id: 'a', subjects: ['svc:b'], objects: ['*'], operations: ['encrypt'] }] }),
        400,
        'grants.0.operations.0',
      ],
    ])('%s', async (_, attempt, status, field) => {
      const answer = await attempt();
      expect(answer.status).toBe(status);
      if (field !== undefined) expect(answer.body['errors']).toEqual([expect.objectContaining({ field })]);
      expect(await recordOf(answer.requestId)).toMatchObject({ seq: answer.seq, outcome: 'refused', error: { code: answer.body['code'] } });
    });
  });

  it('says stopped from the very next call on, and works again when lifted', async () => {
    const encrypt = () => data('encrypt', { keyId: 'alias/invoices', plaintext: PLAINTEXT, encryptionContext: CONTEXT });
    const stop = await admin('POST', '/stops', { target: { scope: 'service', service: 'billing' }, reason: 'incident 7' });
    expect(stop.status).toBe(201);
    expect(await encrypt()).toMatchObject({ status: 403, body: { code: 'stopped' } });
    expect((await admin('DELETE', `/stops/${String(stop.body['stopId'])}`)).status).toBe(204);
    expect((await encrypt()).status).toBe(200);
  });

  it('is not lifted by publishing', async () => {
    const stop = await admin('POST', '/stops', { target: { scope: 'everything' } });
    const policy = await admin('GET', '/policy');
    expect((await admin('PUT', '/policy', policy.body['document'], { 'if-match': policy.headers.get('etag')! })).status).toBe(200);
    expect(await data('encrypt', { keyId: 'alias/invoices', plaintext: PLAINTEXT, encryptionContext: CONTEXT })).toMatchObject({
      status: 403,
    });
    await admin('DELETE', `/stops/${String(stop.body['stopId'])}`);
  });

  it('wants to know which version a policy replaces', async () => {
    const document = { schema: 'keyward.policy/1', grants: [] };
    expect(await admin('PUT', '/policy', document)).toMatchObject({ status: 428, body: { code: 'precondition-required' } });
    expect(await admin('PUT', '/policy', document, { 'if-match': '"999"' })).toMatchObject({
      status: 412,
      body: { code: 'precondition-failed' },
    });
  });

  it('disables and enables a key; only whom a grant would allow learns of it', async () => {
    await admin('POST', `/keys/${world.acme.keyId}/disable`);
    expect(await data('encrypt', { keyId: 'alias/invoices', plaintext: PLAINTEXT, encryptionContext: CONTEXT })).toMatchObject({
      status: 409,
      body: { code: 'key-disabled' },
    });
    expect(await data('encrypt', { keyId: 'alias/invoices', plaintext: PLAINTEXT, encryptionContext: { purpose: 'x' } })).toMatchObject({
      status: 403,
      body: { code: 'not-granted' },
    });
    expect((await admin('POST', `/keys/${world.acme.keyId}/enable`)).body).toMatchObject({ state: 'Enabled' });
    expect((await data('encrypt', { keyId: 'alias/invoices', plaintext: PLAINTEXT, encryptionContext: CONTEXT })).status).toBe(200);
  });

  it('refuses what exists already, and records it', async () => {
    const answer = await admin('POST', '/aliases', { alias: 'alias/invoices', keyId: world.acme.keyId });
    expect(answer).toMatchObject({ status: 409, body: { code: 'already-exists' } });
    expect(await recordOf(answer.requestId)).toMatchObject({ outcome: 'refused', error: { code: 'already-exists' } });
    expect(
      await api(world.platform.urls.keyPlane, world.operator, 'POST', '/v1/tenants', { tenant: 'acme', displayName: 'again' }),
    ).toMatchObject({ status: 409 });
  });

  it("does not let one tenant's admin see the other exists", async () => {
    for (const path of ['/v1/tenants/globex/keys', '/v1/tenants/nobody/keys', `/v1/tenants/acme/keys/${world.globex.keyId}`])
      expect(await api(world.platform.urls.keyPlane, world.acme.admin, 'GET', path)).toMatchObject({
        status: 404,
        body: { code: 'not-found' },
      });
  });

  it("refuses the auditor's credential everywhere but at its own reads", async () => {
    const plain = await api(world.platform.urls.keyPlane, world.acme.auditor, 'GET', '/v1/tenants/acme/keys');
    expect(plain).toMatchObject({ status: 403, body: { code: 'not-allowed' } });
    expect(await data('data-keys', { keyId: 'alias/invoices', encryptionContext: CONTEXT }, 'acme', world.acme.auditor)).toMatchObject({
      status: 403,
      body: { code: 'not-allowed' },
    });
    expect((await api(world.platform.urls.auditor, world.acme.auditor, 'GET', '/v1/tenants/globex/records')).status).toBe(404);
    expect((await api(world.platform.urls.auditor, world.acme.admin, 'GET', '/v1/tenants/acme/records')).status).toBe(403);
  });

  it("revokes an auditor's credential from the next call on", async () => {
    const issued = await admin('POST', '/credentials', { principal: 'guest', role: 'auditor', expiresInDays: 1 });
    const read = () => api(world.platform.urls.auditor, String(issued.body['apiKey']), 'GET', '/v1/tenants/acme/records');
    expect((await read()).status).toBe(200);
    expect((await admin('DELETE', `/credentials/${String(issued.body['credentialId'])}`)).status).toBe(204);
    expect((await read()).status).toBe(401);
  });

  it('never answers a credential a second time, nor shows it in a list', async () => {
    const { body } = await admin('GET', '/credentials');
    expect(JSON.stringify(body)).not.toMatch(/kw_acme_|mac/);
  });

  it('pages through its lists', async () => {
    for (let i = 0; i < 3; i++) await admin('POST', '/keys', { description: `key ${i}` });
    const first = await admin('GET', '/keys?limit=2');
    const second = await admin('GET', `/keys?limit=2&cursor=${String(first.body['nextCursor'])}`);
    const ids = [first, second].flatMap(({ body }) => (body['items'] as { keyId: string }[]).map(({ keyId }) => keyId));
    expect(new Set(ids).size).toBe(4);
    expect(await admin('GET', '/keys?limit=2&cursor=forged')).toMatchObject({ status: 400, body: { errors: [{ field: 'cursor' }] } });
  });

  it('writes only names of the table into the trail', async () => {
    const ops = new Set((await records('limit=1000')).map(({ op }) => String(op)));
    expect([...ops].filter((op) => !OPERATION_NAMES.some((name) => name === op))).toEqual([]);
  });

  describe('the whole log, every operation and refusal of this file in it', () => {
    const bundle = async (): Promise<Uint8Array> => {
      const url = new URL('/v1/tenants/acme/bundle', world.platform.urls.auditor);
      return new Uint8Array(await (await fetch(url, { headers: { authorization: `Bearer ${world.acme.auditor}` } })).arrayBuffer());
    };

    it('is signed soon and verifies offline with the key that the admin pinned', async () => {
      const size = (await records('limit=1000')).length;
      let signed = 0;
      for (; signed < size; await sleep(200)) {
        const report = await verifyBundle(await bundle(), { vkey: world.acme.vkey });
        expect(report).toMatchObject({ status: 'verified', pinned: true });
        signed = report.status === 'verified' ? report.size : 0;
      }
    }, 30_000);

    it("does not verify with the other tenant's key", async () => {
      expect(await verifyBundle(await bundle(), { vkey: world.globex.vkey })).toMatchObject({ status: 'failed' });
    });

    it('names the record of which the superuser changed one byte', async () => {
      const client = new pg.Client({ connectionString: world.platform.superuserUrl });
      await client.connect();
      try {
        await client.query('SET session_replication_role = replica');
        await client.query(
          "UPDATE keyward.trail_record SET bytes = set_byte(bytes, 200, get_byte(bytes, 200) # 1) WHERE tenant_id = 'acme' AND seq = 7",
        );
      } finally {
        await client.end();
      }
      expect(await verifyBundle(await bundle(), { vkey: world.acme.vkey })).toMatchObject({
        status: 'failed',
        code: 'record-changed',
        index: 7,
      });
    });
  });
});
