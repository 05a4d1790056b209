import pg from 'pg';
import { eventually } from '../../apps/custodian/test-bed.js';
import { api, must } from './api.js';
import { INVOICE_POLICY, type Onboarded, onboarded } from './onboarded.js';

const CONTEXT = { purpose: 'invoice' };

/** What is bound in a platform that was lived in: nothing of it may be lost with the key that bound it. */
describe('the binding key of a whole platform', () => {
  let world: Onboarded;
  let database: pg.Client;
  beforeAll(async () => {
    world = await onboarded();
    database = new pg.Client({ connectionString: world.platform.superuserUrl });
    await database.connect();
  }, 180_000);
  afterAll(async () => {
    await database?.end();
    await world?.stop();
  }, 60_000);

  const admin = (method: string, path: string, body?: unknown, headers?: Record<string, string>) =>
    must(world.platform.urls.keyPlane, world.acme.admin, method, `/v1/tenants/acme${path}`, body, headers);
  const operator = (method: string, path = '') => must(world.platform.urls.keyPlane, world.operator, method, `/v1/binding-key${path}`);
  const state = async () => (await operator('GET')).body;
  const use = async (operation: string, body: object) =>
    await api(world.platform.urls.dataPlanes[0]!, world.billing, 'POST', `/v1/tenants/acme/${operation}`, body);

  it('is replaced: every row that was genuine is, and the older key is gone', async () => {
    const { keyId } = world.acme;
    const sealed = await use('encrypt', { keyId: 'alias/invoices', plaintext: 'aGVsbG8=', encryptionContext: CONTEXT });
    // Of each kind some rows, in force and not.
    await admin('PUT', '/policy', { ...INVOICE_POLICY, roles: { auditors: ['svc:billing'] } }, { 'if-match': '"1"' });
    await admin('POST', `/keys/${keyId}/tag`, { tags: { class: 'private' } });
    await admin('POST', `/keys/${keyId}/versions`, {});
    await admin('PUT', `/keys/${keyId}/rotation`, { enabled: true, intervalDays: 90 }, { 'if-none-match': '*' });
    const provider = { issuer: 'https://id.acme.example', audience: 'keyward', jwksUri: 'https://id.acme.example/jwks' };
    await admin('PUT', '/identity-provider', provider);
    await admin('POST', '/credentials', { principal: 'anna', role: 'admin', subject: 'anna@acme.example' });
    const publicKey = { kty: 'OKP', crv: 'Ed25519', x: '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo' };
    await must(world.platform.urls.keyPlane, world.operator, 'POST', '/v1/services/billing/credentials', { publicKey });
    for (let times = 0; times < 3; times++) {
      const { body } = await admin('POST', '/stops', { target: { scope: 'service', service: 'other' } });
      if (times > 0) await admin('DELETE', `/stops/${String(body['stopId'])}`);
    }
    await admin('POST', '/secrets', { name: 'db/password', keyId, value: 'aHVudGVyMg==' });
    await admin('POST', '/keys', { keySpec: 'EC_P256' });
    await admin('POST', '/keys', { origin: 'EXTERNAL' });

    expect((await operator('POST', '/rotate')).body).toMatchObject({ number: 1, rotating: true });
    await eventually(async () => (await state())['left'] === 0);
    expect(await state()).toMatchObject({ broken: 0, rebound: false });
    expect((await api(world.platform.urls.keyPlane, world.operator, 'POST', '/v1/binding-key/retire')).status).toBe(409);
    // A minute later.
    await database.query(`UPDATE keyward.binding_key SET started_at = started_at - interval '1 minute'`);
    await eventually(async () => (await state())['rebound'] === true);
    expect((await operator('POST', '/retire')).body).toMatchObject({ retired: true });
    await eventually(async () => (await state())['rotating'] === false);

    // What stands in no cache: a policy of before, a credential, a provider, stops.
    const opened = await use('decrypt', { ciphertext: sealed.body['ciphertext'], encryptionContext: CONTEXT });
    expect([opened.status, opened.body['plaintext']]).toEqual([200, 'aGVsbG8=']);
    await admin('POST', '/policy/versions/1/rollback', undefined, { 'if-match': '"2"' });
    expect((await admin('GET', '/identity-provider')).body).toMatchObject(provider);
    expect((await admin('GET', '/secrets')).body['items']).toMatchObject([{ name: 'db/password' }]);
    expect((await use('encrypt', { keyId: 'alias/invoices', plaintext: 'eA==', encryptionContext: CONTEXT })).status).toBe(200);
    const { rows } = await database.query(`SELECT count(*)::int AS n FROM keyward.trail_record WHERE op = 'DestroyBindingKey'`);
    expect(rows).toEqual([{ n: 1 }]);
  }, 120_000);
});
