import { generateKeyPairSync, type KeyObject, randomUUID, sign } from 'node:crypto';
import { api, must } from './api.js';
import { INVOICE_POLICY, type Onboarded, onboarded } from './onboarded.js';

const CONTEXT = { purpose: 'invoice' };
const [INVOICES] = INVOICE_POLICY.grants;
type Json = Record<string, unknown>;

/** The customer's own rules over the wire: from the first draft to what a change would have done, and what is refused, and why. */
describe('the customer writes the rules', () => {
  let world: Onboarded;
  beforeAll(async () => {
    world = await onboarded();
  }, 180_000);
  afterAll(() => world?.stop(), 60_000);

  const admin = (method: string, path: string, body?: unknown, headers?: Record<string, string>) =>
    api(world.platform.urls.keyPlane, world.acme.admin, method, `/v1/tenants/acme${path}`, body, headers);
  const operator = (method: string, path: string, body?: unknown) => must(world.platform.urls.keyPlane, world.operator, method, path, body);
  const use = (path: string, body: Json, credential = world.billing) =>
    api(world.platform.urls.dataPlanes[0]!, credential, 'POST', `/v1/tenants/acme/${path}`, body);
  const dataKey = (more: Json = {}, credential?: string) =>
    use('data-keys', { keyId: 'alias/invoices', encryptionContext: CONTEXT, ...more }, credential);
  const recordOf = async (requestId: string | null) =>
    (
      (await must(world.platform.urls.auditor, world.acme.auditor, 'GET', `/v1/tenants/acme/records?requestId=${requestId}`)).body[
        'items'
      ] as Json[]
    )[0];

  const draft = (document: unknown) => admin('PUT', '/policy/draft', { text: JSON.stringify(document) });
  async function publish(document: unknown, acknowledge: string[] = []): Promise<void> {
    await draft(document);
    const { replaces, digest } = (await admin('GET', '/policy/draft/validation')).body;
    const published = await admin('POST', '/policy/draft/publish', { digest, acknowledge }, { 'if-match': `"${String(replaces)}"` });
    expect(published.status).toBe(200);
  }
  const withGrant = (grant: Json) => ({ ...INVOICE_POLICY, grants: [{ ...INVOICES, ...grant }] });
  afterEach(() => publish(INVOICE_POLICY));

  describe('draft, validate, publish', () => {
    const narrower = withGrant({ operations: ['Decrypt'] });

    it('keeps the draft apart, tells what it would change, and publishes it under If-Match', async () => {
      expect((await draft(narrower)).status).toBe(200);
      expect((await dataKey()).status).toBe(200);
      const { body: validation } = await admin('GET', '/policy/draft/validation');
      expect(validation).toMatchObject({ valid: true, change: 'narrowing' });
      expect((validation['diff'] as string[]).join(' ')).toContain('billing-invoices');
      const { digest } = validation;
      const stale = await admin('POST', '/policy/draft/publish', { digest }, { 'if-match': `"${Number(validation['replaces']) + 7}"` });
      expect([stale.status, stale.body['code']]).toEqual([412, 'precondition-failed']);
      const unconditional = await admin('POST', '/policy/draft/publish', { digest });
      expect(unconditional.status).toBe(428);
      const ifMatch = { 'if-match': `"${String(validation['replaces'])}"` };
      expect((await admin('POST', '/policy/draft/publish', {}, ifMatch)).status).toBe(400);
      const published = await admin('POST', '/policy/draft/publish', { digest }, ifMatch);
      expect(published.body).toMatchObject({ version: Number(validation['replaces']) + 1, author: 'acme-admin' });
      expect((await dataKey()).status).toBe(403);
      expect((await admin('GET', '/policy/draft')).status).toBe(404);
    });

    it('refuses a draft that is no policy, naming code and place', async () => {
      const { status, body } = await draft(withGrant({ operations: ['decrypt'] }));
      expect(status).toBe(400);
      expect(JSON.stringify(body['errors'])).toMatch(/grants\.0\.operations\.0.*G\d{3}/);
    });

    it('asks the author to acknowledge warnings', async () => {
      await draft(withGrant({ objects: ['tag:class=pii'] }));
      const { body } = await admin('GET', '/policy/draft/validation');
      const codes = (body['findings'] as Json[]).map(({ code }) => String(code));
      expect(codes).toContain('G016');
      const ifMatch = { 'if-match': `"${String(body['replaces'])}"` };
      const { digest } = body;
      const refused = await admin('POST', '/policy/draft/publish', { digest }, ifMatch);
      expect([refused.status, JSON.stringify(refused.body['errors'])]).toEqual([400, expect.stringContaining('G016')]);
      expect((await admin('POST', '/policy/draft/publish', { digest, acknowledge: codes }, ifMatch)).status).toBe(200);
    });

    it('takes Casbin CSV as well as JSON, and gives both back', async () => {
      const { body: inForce } = await must(world.platform.urls.keyPlane, world.acme.admin, 'GET', '/v1/tenants/acme/policy');
      const csv = (await admin('GET', `/policy/versions/${String(inForce['version'])}/csv`)).body['text'];
      expect(csv).toContain('p, billing-invoices, svc:billing');
      const saved = await admin('PUT', '/policy/draft', { format: 'csv', text: csv });
      expect(saved.body).toMatchObject({ digest: inForce['digest'], document: inForce['document'] });
    });

    it('keeps every version, tells differences, and rolls back as a new version', async () => {
      await publish(narrower);
      const { body } = await admin('GET', '/policy/versions?limit=100');
      const versions = body['items'] as Json[];
      const latest = Number(versions.at(-1)!['version']);
      expect(versions.map(({ version }) => version)).toEqual(Array.from({ length: latest }, (_, index) => index + 1));
      const diff = await admin('GET', `/policy/diff?from=${latest}&to=1`);
      expect(diff.body).toMatchObject({ change: 'widening' });
      const back = await admin('POST', '/policy/versions/1/rollback', {}, { 'if-match': `"${latest}"` });
      expect(back.body).toMatchObject({ version: latest + 1, digest: versions[0]!['digest'] });
      expect((await dataKey()).status).toBe(200);
      expect((await admin('GET', '/policy/versions/999')).status).toBe(404);
    });

    it('replays what was recorded against the draft', async () => {
      for (let call = 0; call < 3; call++) expect((await dataKey()).status).toBe(200);
      const sealed = await dataKey();
      await use('decrypt', { ciphertext: sealed.body['ciphertext'], encryptionContext: CONTEXT });
      await draft(withGrant({ when: { encryptionContextEquals: { purpose: 'reports' } } }));
      const { body } = await admin('GET', '/policy/draft/preview?days=1');
      expect(Number(body['newlyRefused'])).toBeGreaterThanOrEqual(5);
      expect(body).toMatchObject({ complete: true, unjudged: 0, lockouts: [{ keyId: world.acme.keyId, alias: 'alias/invoices' }] });
      expect(body['sentences']).toContain('Nobody could decrypt with alias/invoices any more.');
      await draft(INVOICE_POLICY);
      expect((await admin('GET', '/policy/draft/preview')).body).toMatchObject({ newlyRefused: 0, lockouts: [] });
    });
  });

  it('lets nobody use a key that is kept for a service without a grant, and a stop covers it', async () => {
    const keyId = 'alias/acs/billing';
    const kept = await admin('POST', '/keys', { service: 'billing' });
    expect(kept).toMatchObject({ status: 201, body: { managedBy: 'billing', aliases: [keyId] } });
    expect(await dataKey({ keyId })).toMatchObject({ status: 403, body: { code: 'not-granted' } });
    await publish(withGrant({ objects: [keyId] }));
    expect((await dataKey({ keyId })).status).toBe(200);
    const { body: stop } = await admin('POST', '/stops', { target: { scope: 'everything' } });
    expect(await dataKey({ keyId })).toMatchObject({ status: 403, body: { code: 'stopped' } });
    await admin('DELETE', `/stops/${String(stop['stopId'])}`);
    expect((await dataKey({ keyId })).status).toBe(200);
    const { body } = await must(world.platform.urls.auditor, world.acme.auditor, 'GET', '/v1/tenants/acme/key-inventory');
    expect(body['items']).toContainEqual(expect.objectContaining({ keyId: kept.body['keyId'], managedBy: 'billing' }));
  });

  it('asks who can, and what would happen', async () => {
    const { body } = await admin('GET', '/who-can');
    expect(body['items']).toEqual([
      expect.objectContaining({ keyId: world.acme.keyId, subject: 'svc:billing', grant: 'billing-invoices', except: [] }),
    ]);
    const simulate = async (more: Json) =>
      (await admin('POST', '/policy/simulate', { subject: 'svc:billing', operation: 'Decrypt', keyId: 'alias/invoices', ...more })).body;
    expect(await simulate({ encryptionContext: CONTEXT })).toMatchObject({ allowed: true, grant: 'billing-invoices' });
    const refused = await simulate({ encryptionContext: { purpose: 'marketing' } });
    expect(refused).toMatchObject({ allowed: false, code: 'not-granted' });
    expect(refused['rules']).toMatchObject([
      { ruleId: 'billing-invoices', applies: false, conditions: [{ in: 'when', condition: 'encryptionContextEquals', truth: 'false' }] },
    ]);
  });

  describe('a refusal explains itself to whom it may', () => {
    it('tells the service that a condition was not met, and the tenant which', async () => {
      const refused = await dataKey({ encryptionContext: { purpose: 'marketing' } });
      expect(refused.body).toMatchObject({ code: 'not-granted', reason: 'condition-not-met' });
      expect(await recordOf(refused.requestId)).toMatchObject({
        authz: { decision: 'deny', ruleId: 'billing-invoices', unmet: ['when.encryptionContextEquals'] },
      });
    });

    it('tells a service that no grant names nothing at all', async () => {
      await operator('POST', '/v1/services', { service: 'stranger' });
      const { body } = await operator('POST', '/v1/services/stranger/credentials', {});
      const [known, unknown] = await Promise.all([
        dataKey({}, String(body['apiKey'])),
        use('data-keys', { keyId: 'alias/nothing' }, String(body['apiKey'])),
      ]);
      const shown = ({ status, body: { requestId: _, ...problem } }: typeof known) => ({ status, problem });
      expect(shown(known)).toEqual(shown(unknown));
      expect(known.body).not.toHaveProperty('reason');
    });

    it('answers a dry run as the call, without using a key', async () => {
      const asked = await dataKey({ dryRun: true });
      expect(asked.body).toEqual({ dryRun: true, keyId: world.acme.keyId, keyVersionId: expect.stringMatching(/^kver_/) });
      expect(await recordOf(asked.requestId)).toMatchObject({ outcome: 'succeeded', request: { dryRun: true } });
      expect((await dataKey({ dryRun: true, encryptionContext: {} })).body).toMatchObject({ reason: 'condition-not-met' });
      const sealed = await dataKey();
      const opened = await use('decrypt', { ciphertext: sealed.body['ciphertext'], encryptionContext: CONTEXT, dryRun: true });
      expect(opened.body).not.toHaveProperty('plaintext');
      expect(opened.body).toMatchObject({ dryRun: true });
    });
  });

  it('counts what a limited grant allows, over all its versions', async () => {
    await publish(withGrant({ id: 'two-a-day', limits: { perDay: 2 } }));
    expect([(await dataKey()).status, (await dataKey()).status]).toEqual([200, 200]);
    const full = await dataKey();
    expect([full.status, full.body['code'], full.body['reason']]).toEqual([429, 'too-many-requests', 'limit-reached']);
    expect(Number(full.headers.get('retry-after'))).toBeGreaterThan(0);
    expect(await recordOf(full.requestId)).toMatchObject({ outcome: 'refused', authz: { decision: 'deny', ruleId: 'two-a-day' } });
    await publish(withGrant({ id: 'two-a-day', limits: { perDay: 2 }, description: 'again' }));
    expect((await dataKey()).status).toBe(429);
    await publish(withGrant({ id: 'two-a-day', limits: { perDay: 3 } }));
    expect([(await dataKey()).status, (await dataKey()).status]).toEqual([200, 429]);
  });

  it('may ask for a reason, which the record keeps', async () => {
    const justification = { anyOf: ['ISV_INCIDENT'], requireTicket: true };
    await publish(withGrant({ when: { encryptionContextEquals: CONTEXT, justification } }));
    expect((await dataKey()).status).toBe(403);
    expect((await dataKey({ justification: { code: 'ISV_INCIDENT' } })).status).toBe(403);
    expect((await dataKey({ justification: { code: 'BECAUSE' } })).status).toBe(400);
    const given = { code: 'ISV_INCIDENT', ticket: 'INC-7' };
    const allowed = await dataKey({ justification: given });
    expect(allowed.status).toBe(200);
    expect(await recordOf(allowed.requestId)).toMatchObject({ request: { justification: given } });
  });

  it('may ask how the service proved itself, which then signs its own tokens', async () => {
    const { publicKey, privateKey } = generateKeyPairSync('ed25519');
    const jwk = publicKey.export({ format: 'jwk' });
    const { body } = await operator('POST', '/v1/services/billing/credentials', { publicKey: jwk });
    expect(body).not.toHaveProperty('apiKey');
    const token = selfSigned(String(body['credentialId']), privateKey);
    await publish(withGrant({ when: { encryptionContextEquals: CONTEXT, authMethod: ['private-key-jwt'] } }));
    expect((await dataKey()).status).toBe(403);
    const allowed = await dataKey({}, token);
    expect(allowed.status).toBe(200);
    expect(await recordOf(allowed.requestId)).toMatchObject({ actor: { authMethod: 'private-key-jwt', principal: 'billing' } });
    await operator('DELETE', `/v1/services/billing/credentials/${String(body['credentialId'])}`);
    expect((await dataKey({}, token)).status).toBe(401);
  });

  it('may ask where the call comes from', async () => {
    await publish(withGrant({ when: { encryptionContextEquals: CONTEXT, sourceCidr: ['127.0.0.0/8'] } }));
    expect((await dataKey()).status).toBe(200);
    await publish(withGrant({ when: { encryptionContextEquals: CONTEXT, sourceCidr: ['203.0.113.0/24'] } }));
    expect((await dataKey()).status).toBe(403);
  });

  describe('the ISV is a party too', () => {
    it('says what its service may ask for: both must allow', async () => {
      await operator('PUT', '/v1/services/billing/catalogue', { operations: ['Decrypt'] });
      expect((await dataKey()).body).toMatchObject({ code: 'not-granted', reason: 'not-in-catalogue' });
      const { body } = await admin('GET', '/who-can');
      expect(body['items']).toMatchObject([{ operations: ['Decrypt'] }]);
      await operator('PUT', '/v1/services/billing/catalogue', {
        operations: ['Decrypt', 'Encrypt', 'GenerateDataKey', 'GenerateDataKeyWithoutPlaintext'],
      });
      expect((await dataKey()).status).toBe(200);
    });

    it('suspends a service or a tenant, which only takes away', async () => {
      await operator('POST', '/v1/services/billing/suspend', { reason: 'incident 7' });
      expect((await dataKey()).body).toMatchObject({ reason: 'service-suspended' });
      await operator('POST', '/v1/services/billing/resume', {});
      await operator('PUT', '/v1/suspensions/acme', { reason: 'unpaid' });
      expect((await dataKey()).body).toMatchObject({ code: 'not-granted', reason: 'tenant-suspended' });
      expect((await admin('GET', '/policy')).status).toBe(200);
      expect((await operator('GET', '/v1/suspensions')).body['items']).toMatchObject([{ tenant: 'acme', reason: 'unpaid' }]);
      await operator('DELETE', '/v1/suspensions/acme');
      expect((await dataKey()).status).toBe(200);
    });
  });

  describe('a stop', () => {
    it('returns with a receipt, whose signature follows', async () => {
      const last = await dataKey();
      const stopped = await admin('POST', '/stops', { target: { scope: 'service', service: 'billing' }, reason: 'incident 7' });
      expect(stopped.status).toBe(201);
      const receipt = stopped.body['receipt'] as Json;
      expect(receipt).toMatchObject({ seq: stopped.seq, lastAllowed: { seq: last.seq } });
      expect(Number((receipt['leases'] as Json)['count'])).toBeGreaterThan(0);
      expect(Date.parse(String(receipt['answersUntil'])) - Date.parse(String(receipt['recordedAt']))).toBe(5000);
      expect((await dataKey()).body).toMatchObject({ code: 'stopped', reason: 'stopped' });
      const path = `/stops/${String(stopped.body['stopId'])}`;
      const signed = async () => ((await admin('GET', path)).body['receipt'] as Json)['checkpoint'];
      const deadline = performance.now() + 20_000;
      while ((await signed()) === undefined && performance.now() < deadline) await new Promise((done) => setTimeout(done, 100));
      expect(String(await signed())).toContain('— ');
      expect((await admin('DELETE', path)).status).toBe(204);
      expect((await dataKey()).status).toBe(200);
    });

    it('of one key names the spare ones that the same service may still use', async () => {
      for (let other = 0; other < 100; other++) expect((await admin('POST', '/keys', {})).status).toBe(201);
      const { body: spare } = await admin('POST', '/keys', { alias: 'alias/invoices-spare' });
      await publish(withGrant({ objects: ['alias/invoices*'] }));
      const { body } = await admin('POST', '/stops', { target: { scope: 'key', keyId: world.acme.keyId } });
      expect((body['receipt'] as Json)['spareKeys']).toEqual([spare['keyId']]);
      await admin('DELETE', `/stops/${String(body['stopId'])}`);
    });

    it('of everything has a place, however many small ones there are', async () => {
      const stops: string[] = [];
      const stop = async (target: Json) => {
        const made = await admin('POST', '/stops', { target });
        if (made.status === 201) stops.push(String(made.body['stopId']));
        return made.status;
      };
      for (let at = 0; at < 100; at++) expect(await stop({ scope: 'service', service: `old-${at}` })).toBe(201);
      expect(await stop({ scope: 'service', service: 'billing' })).toBe(409);
      expect((await dataKey()).status).toBe(200);
      expect(await stop({ scope: 'everything' })).toBe(201);
      expect((await dataKey()).body).toMatchObject({ code: 'stopped' });
      for (const stopId of stops) expect((await admin('DELETE', `/stops/${stopId}`)).status).toBe(204);
      expect((await dataKey()).status).toBe(200);
    });

    it('of one label stops what carries it, and nothing else', async () => {
      await publish(withGrant({ when: { encryptionContextSubset: { purpose: ['invoice', 'reports'] } } }));
      const { body } = await admin('POST', '/stops', { target: { scope: 'context', name: 'purpose', value: 'invoice' } });
      expect((await dataKey()).status).toBe(403);
      expect((await dataKey({ encryptionContext: { purpose: 'reports' } })).status).toBe(200);
      await admin('DELETE', `/stops/${String(body['stopId'])}`);
      expect((await dataKey()).status).toBe(200);
    });
  });
});

/** RFC 7523 §3, by hand: no library of the product's could hide a fault of the product's. */
function selfSigned(credentialId: string, key: KeyObject): string {
  const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const now = Math.floor(Date.now() / 1000);
  const claims = { iss: credentialId, sub: credentialId, aud: 'keyward:keyward.local', iat: now, exp: now + 300, jti: randomUUID() };
  const signed = `${part({ alg: 'EdDSA', typ: 'JWT' })}.${part(claims)}`;
  return `${signed}.${sign(null, Buffer.from(signed), key).toString('base64url')}`;
}
