import { buffer } from 'node:stream/consumers';
import { inspect } from 'node:util';
import { KeywardAdmin } from './admin-client.js';
import { Conflict, Refused, Unavailable } from './errors.js';
import { FakeDataPlane, KEY_ID, VERSION_ID } from './test/fake-data-plane.js';

const TIME = '2026-01-02T03:04:05Z';
const CREDENTIAL = 'crd_01jb000000e008000000000000';
const STOP = 'stop_01jb000000e008000000000000';

const key = {
  keyId: KEY_ID,
  state: 'Enabled',
  keySpec: 'AES_256',
  keyUsage: 'ENCRYPT_DECRYPT',
  origin: 'KEYWARD',
  protectionLevel: 'SOFTWARE_TOKEN',
  description: '',
  aliases: ['alias/invoices'],
  tags: {},
  deletionProtection: false,
  primaryVersion: VERSION_ID,
  createdAt: TIME,
};
const issued = { credentialId: CREDENTIAL, principal: 'ann', role: 'admin', authMethod: 'api-key', apiKey: 'kw_acme_x_y', expiresAt: TIME };
const policy = {
  version: 1,
  digest: 'ab',
  author: 'ann',
  publishedAt: TIME,
  document: { schema: 'keyward.policy/1', roles: {}, grants: [], guardrails: [] },
};
const stop = { stopId: STOP, target: { scope: 'everything' }, reason: '', stoppedBy: 'ann', stoppedAt: TIME };
const service = { service: 'billing', description: '', operations: ['Decrypt'], suspended: false, createdAt: TIME };
const quota = { quota: 'keys', limit: 5, used: 1, standard: 100_000, least: 1, most: 1_000_000, unit: 'keys' };
const quotas = { items: [quota] };
const leaving = { tenant: 'acme', state: 'Waiting', basis: 'agreement', endsAt: TIME };
const suspension = { tenant: 'acme', reason: '', suspendedBy: 'root', suspendedAt: TIME };
const provider = {
  issuer: 'https://i',
  audience: 'a',
  jwksUri: 'https://i/jwks',
  algorithms: ['RS256'],
  changedBy: 'ann',
  changedAt: TIME,
};
const draft = { digest: 'd', author: 'ann', savedAt: TIME, document: { schema: 'keyward.policy/1' } };
const inventory = {
  ...{ keyId: KEY_ID, state: 'Enabled', description: '', tags: {}, createdAt: TIME, aliases: [] },
  ...{ versions: [], lastUse: null, usableBy: [] },
};
const lint = { valid: true, findings: [], sentences: [] };
const preview = {
  from: TIME,
  calls: 1,
  complete: true,
  newlyRefused: 0,
  newlyAllowed: 0,
  unjudged: 0,
  changes: [],
  lockouts: [],
  sentences: [],
};
const who = { keyId: KEY_ID, aliases: [], subject: 'svc:a', operations: ['Decrypt'], grant: 'g', conditions: '', except: [] };
const SINK = 'sink_01jdsz0000e008000000000001';
const sink = {
  ...{ sinkId: SINK, description: '', target: { type: 'webhook', url: 'https://a.example/', format: 'cloudevents' }, state: 'Active' },
  ...{ createdBy: 'ann', createdAt: TIME, delivery: { nextSeq: 0, pending: 0, failures: 0 } },
};
const page = <Item>(item: Item) => ({ items: [item], nextCursor: 'more' });
const credential = { credentialId: CREDENTIAL, principal: 'ann', role: 'admin', authMethod: 'api-key', createdAt: TIME, expiresAt: TIME };
const document = { schema: 'keyward.policy/1' } as const;

let fake: FakeDataPlane;
let admin: KeywardAdmin;
let answer: object | undefined;
beforeEach(async () => {
  fake = await FakeDataPlane.start();
  admin = new KeywardAdmin({ apiKey: 'kw_acme_crd_CANARY', keyPlane: fake.url, auditor: fake.url, backoffMs: 1 });
  fake.script = (_asked, response) =>
    answer === undefined
      ? (response.writeHead(204, { 'keyward-record': '7', 'x-request-id': 'req_y' }).end(), 'answered')
      : fake.json(response, answer);
});
afterEach(() => fake.close());

// biome-ignore format: an aligned table is read column by column
const ROUTES: readonly [want: string, answered: object | undefined, call: () => Promise<object>][] = [
  ['POST /v1/tenants',                                          { tenant: 'acme', enrolmentCode: 'c', expiresAt: TIME, vkey: 'v' }, () => admin.onboardTenant({ tenant: 'acme', displayName: 'Acme' })],
  ['GET /v1/tenants?limit=2&cursor=a%2Fb',                      page({ tenant: 'acme', displayName: 'A', state: 'Active', createdAt: TIME }), () => admin.listTenants({ limit: 2, cursor: 'a/b' })],
  ['POST /v1/services',                                         service,          () => admin.registerService({ service: 'billing' })],
  ['GET /v1/services',                                          page(service),    () => admin.listServices()],
  ['PUT /v1/services/billing/catalogue',                        service,          () => admin.putCatalogueEntry('billing', { operations: ['Decrypt'] })],
  ['POST /v1/services/billing/suspend',                         service,          () => admin.suspendService('billing')],
  ['POST /v1/services/billing/resume',                          service,          () => admin.resumeService('billing')],
  ['PUT /v1/suspensions/acme',                                  suspension,       () => admin.suspendTenant('acme', { reason: 'x' })],
  ['DELETE /v1/suspensions/acme',                               undefined,        () => admin.resumeTenant('acme')],
  ['GET /v1/quotas/acme',                                       quotas,           () => admin.describeTenantQuotas('acme')],
  ['PUT /v1/quotas/acme/keys',                                  quota,            () => admin.setQuota('acme', 'keys', { limit: 5 })],
  ['GET /v1/tenants/acme/quotas',                               quotas,           () => admin.describeQuotas('acme')],
  ['PUT /v1/off-boardings/acme',                                leaving,          () => admin.offBoardTenant('acme', { days: 7 })],
  ['DELETE /v1/off-boardings/acme',                             undefined,        () => admin.cancelOffBoarding('acme')],
  ['GET /v1/off-boardings',                                     page(leaving),    () => admin.listOffBoardings()],
  ['PUT /v1/tenants/acme/off-boarding',                         leaving,          () => admin.agreeToOffBoarding('acme', { confirm: 'acme' })],
  ['DELETE /v1/tenants/acme/off-boarding',                      undefined,        () => admin.withdrawFromOffBoarding('acme')],
  ['GET /v1/tenants/acme/off-boarding',                         leaving,          () => admin.describeOffBoarding('acme')],
  ['GET /v1/suspensions',                                       page(suspension), () => admin.listSuspensions()],
  ['POST /v1/services/billing/credentials',                     issued,           () => admin.issueServiceCredential('billing')],
  ['GET /v1/services/billing/credentials',                      page(credential), () => admin.listServiceCredentials('billing')],
  [`DELETE /v1/services/billing/credentials/${CREDENTIAL}`,     undefined,        () => admin.revokeServiceCredential('billing', CREDENTIAL)],
  ['POST /v1/tenants/acme/enrol', { tenant: 'acme', principal: 'ann', credentialId: CREDENTIAL, apiKey: 'kw', expiresAt: TIME, vkey: 'v' }, () => admin.enrol('acme', { admin: 'ann' })],
  ['POST /v1/tenants/acme/credentials',                         issued,           () => admin.issueCredential('acme', { principal: 'ann', role: 'auditor' })],
  ['GET /v1/tenants/acme/credentials',                          page(credential), () => admin.listCredentials('acme')],
  [`DELETE /v1/tenants/acme/credentials/${CREDENTIAL}`,         undefined,        () => admin.revokeCredential('acme', CREDENTIAL)],
  ['POST /v1/tenants/acme/keys',                                key,              () => admin.createKey('acme', { alias: 'alias/invoices' })],
  ['GET /v1/tenants/acme/keys',                                 page(key),        () => admin.listKeys('acme')],
  [`GET /v1/tenants/acme/keys/${KEY_ID}`,                       key,              () => admin.describeKey('acme', KEY_ID)],
  [`POST /v1/tenants/acme/keys/${KEY_ID}/enable`,               key,              () => admin.enableKey('acme', KEY_ID)],
  [`POST /v1/tenants/acme/keys/${KEY_ID}/disable`,              key,              () => admin.disableKey('acme', KEY_ID)],
  ['GET /v1/tenants/acme/capabilities',                         { module: 'm', protectionLevel: 'HSM', specs: [], algorithms: [] }, () => admin.describeCapabilities('acme')],
  [`POST /v1/tenants/acme/keys/${KEY_ID}/versions`,             key,              () => admin.createKeyVersion('acme', KEY_ID)],
  [`GET /v1/tenants/acme/keys/${KEY_ID}/versions`,              page({ keyVersionId: VERSION_ID, primary: true, protectionLevel: 'HSM', createdAt: TIME }), () => admin.listKeyVersions('acme', KEY_ID)],
  [`PUT /v1/tenants/acme/keys/${KEY_ID}/description`,           key,              () => admin.setKeyDescription('acme', KEY_ID, 'x')],
  [`POST /v1/tenants/acme/keys/${KEY_ID}/tag`,                  key,              () => admin.tagKey('acme', KEY_ID, { a: 'b' })],
  [`POST /v1/tenants/acme/keys/${KEY_ID}/untag`,                key,              () => admin.untagKey('acme', KEY_ID, ['a'])],
  [`PUT /v1/tenants/acme/keys/${KEY_ID}/deletion-protection`,   key,              () => admin.setDeletionProtection('acme', KEY_ID, true)],
  ['GET /v1/tenants/acme/calendar?limit=2',                     page({ at: TIME, event: 'rotation', keyId: KEY_ID, keyState: 'Enabled' }), () => admin.listCalendar('acme', { limit: 2 })],
  [`GET /v1/tenants/acme/keys/${KEY_ID}/rotation`,              { version: 0, status: 'Disabled' }, () => admin.keyRotation('acme', KEY_ID)],
  [`PUT /v1/tenants/acme/keys/${KEY_ID}/rotation`,              { version: 1, status: 'Disabled' }, () => admin.putKeyRotation('acme', KEY_ID, { enabled: false }, 0)],
  [`POST /v1/tenants/acme/keys/${KEY_ID}/schedule-deletion`,    key,              () => admin.scheduleKeyDeletion('acme', KEY_ID)],
  [`POST /v1/tenants/acme/keys/${KEY_ID}/cancel-deletion`,      key,              () => admin.cancelKeyDeletion('acme', KEY_ID)],
  ['PUT /v1/tenants/acme/aliases',            { alias: 'alias/a', keyId: KEY_ID }, () => admin.updateAlias('acme', { alias: 'alias/a', keyId: KEY_ID })],
  ['DELETE /v1/tenants/acme/aliases?alias=alias%2Fa',           undefined,        () => admin.deleteAlias('acme', 'alias/a')],
  ['GET /v1/tenants/acme/aliases',            page({ alias: 'alias/a', keyId: KEY_ID }), () => admin.listAliases('acme')],
  ['POST /v1/tenants/acme/aliases',           { alias: 'alias/a', keyId: KEY_ID }, () => admin.createAlias('acme', { alias: 'alias/a', keyId: KEY_ID })],
  ['GET /v1/tenants/acme/policy',                               policy,           () => admin.getPolicy('acme')],
  ['PUT /v1/tenants/acme/policy',                               policy,           () => admin.putPolicy('acme', document, 0)],
  ['PUT /v1/tenants/acme/identity-provider',                    provider,         () => admin.putIdentityProvider('acme', { issuer: 'https://i', audience: 'a', jwksUri: 'https://i/jwks' })],
  ['GET /v1/tenants/acme/identity-provider',                    provider,         () => admin.getIdentityProvider('acme')],
  ['DELETE /v1/tenants/acme/identity-provider',                 undefined,        () => admin.deleteIdentityProvider('acme')],
  ['GET /v1/tenants/acme/policy/versions',                      page({ version: 1, digest: 'd', author: 'a', publishedAt: TIME }), () => admin.listPolicyVersions('acme')],
  ['GET /v1/tenants/acme/policy/versions/3',                    policy,           () => admin.getPolicyVersion('acme', 3)],
  ['GET /v1/tenants/acme/policy/diff?from=1&to=2',              { from: 1, to: 2, change: 'same', sentences: [] }, () => admin.diffPolicy('acme', { from: 1, to: 2 })],
  ['POST /v1/tenants/acme/policy/versions/1/rollback',          policy,           () => admin.rollbackPolicy('acme', 1, 2)],
  ['POST /v1/tenants/acme/policy/lint',                         lint,             () => admin.lintPolicy('acme', { text: '{}' })],
  ['PUT /v1/tenants/acme/policy/draft',                         draft,            () => admin.putPolicyDraft('acme', { text: '{}' })],
  ['GET /v1/tenants/acme/policy/draft',                         draft,            () => admin.getPolicyDraft('acme')],
  ['DELETE /v1/tenants/acme/policy/draft',                      undefined,        () => admin.discardPolicyDraft('acme')],
  ['GET /v1/tenants/acme/policy/draft/validation',              { ...lint, digest: 'd', replaces: 1, change: 'same', diff: [] }, () => admin.validatePolicyDraft('acme')],
  ['GET /v1/tenants/acme/policy/draft/preview?days=7',          preview,          () => admin.previewPolicyDraft('acme', 7)],
  ['POST /v1/tenants/acme/policy/draft/publish',                policy,           () => admin.publishPolicyDraft('acme', 2, { digest: 'd', acknowledge: ['G016'] })],
  ['POST /v1/tenants/acme/policy/simulate',                     { allowed: true, rules: [], sentences: [] }, () => admin.simulatePolicy('acme', { subject: 'svc:a', operation: 'Decrypt', keyId: 'alias/a' })],
  ['GET /v1/tenants/acme/who-can?keyId=alias%2Fa',              page(who),        () => admin.whoCan('acme', { keyId: 'alias/a' })],
  [`GET /v1/tenants/acme/stops/${STOP}`,                        stop,             () => admin.getStop('acme', STOP)],
  ['POST /v1/tenants/acme/stops',                               stop,             () => admin.stop('acme', { target: { scope: 'everything' } })],
  ['GET /v1/tenants/acme/stops',                                page(stop),       () => admin.listStops('acme')],
  [`DELETE /v1/tenants/acme/stops/${STOP}`,                     undefined,        () => admin.lift('acme', STOP)],
  ['POST /v1/tenants/acme/sinks',                               sink,             () => admin.createSink('acme', { target: { type: 'webhook', url: 'https://a.example/' } })],
  ['GET /v1/tenants/acme/sinks?limit=2',                        page(sink),       () => admin.listSinks('acme', { limit: 2 })],
  [`GET /v1/tenants/acme/sinks/${SINK}`,                        sink,             () => admin.describeSink('acme', SINK)],
  [`PATCH /v1/tenants/acme/sinks/${SINK}`,                      sink,             () => admin.updateSink('acme', SINK, { state: 'Paused' })],
  [`DELETE /v1/tenants/acme/sinks/${SINK}`,                     undefined,        () => admin.deleteSink('acme', SINK)],
  [`POST /v1/tenants/acme/sinks/${SINK}/test`,                  sink,             () => admin.testSink('acme', SINK)],
  [`GET /v1/tenants/acme/keys/${KEY_ID}/usage`, { keyId: KEY_ID, asOf: 9, since: TIME, services: [], leasesComplete: true, usableBy: [], sentences: [] }, () => admin.describeKeyUsage('acme', KEY_ID)],
  ['POST /v1/tenants/acme/privacy/erasures',                    { fromSeq: 0, fields: ['sourceIp'], erased: 3 }, () => admin.erasePersonalFields('acme', { principal: 'otto', fields: ['sourceIp'] })],
  ['GET /v1/tenants/acme/records?outcome=refused&limit=5', { size: 9, asOf: 9, items: [{ seq: 3 }] }, () => admin.listRecords('acme', { outcome: 'refused', limit: 5 })],
  ['GET /v1/tenants/acme/log',                                  { logId: 'l', origin: 'o', vkeys: ['v'], rotations: [], signedSize: 9, minIndex: 0, retentionDays: 2555 }, () => admin.log('acme')],
  ['GET /v1/tenants/acme/checkpoints?beforeSize=9',             { items: [], nextBeforeSize: 3 }, () => admin.listCheckpoints('acme', { beforeSize: 9 })],
  ['GET /v1/tenants/acme/consistency?from=3&to=9',              { from: 3, to: 9, proof: ['AA=='] }, () => admin.consistency('acme', { from: 3, to: 9 })],
  ['GET /v1/tenants/acme/stats?interval=1h&from=a&to=b',        { coveredSize: 9, items: [] }, () => admin.recordStats('acme', { interval: '1h', from: 'a', to: 'b' })],
  ['GET /v1/tenants/acme/key-inventory?limit=5',                page(inventory),  () => admin.keyInventory('acme', { limit: 5 })],
  ['GET /v1/tenants/acme/leases?principal=billing&cursor=7', { at: '2026-11-26T00:00:00Z', items: [] }, () => admin.leases('acme', { principal: 'billing', cursor: '7' })],
  ['GET /v1/tenants/acme/coverage?name=purpose&values=a%2Cb',   { coveredSize: 9, name: 'purpose', values: ['a', 'b'], items: [] }, () => admin.coverage('acme', { name: 'purpose', values: ['a', 'b'] })],
  ['GET /v1/tenants/acme/policy-history?limit=5',               { items: [] },    () => admin.policyHistory('acme', { limit: 5 })],
];

it.each(ROUTES)('%s', async (want, answered, call) => {
  answer = answered;
  expect(await call()).toMatchObject({ ...answered, record: answered === undefined ? 7 : 1 });
  const [{ method, path, authorization }] = fake.asked as [(typeof fake.asked)[number]];
  expect(`${method} ${path}`).toBe(want);
  expect(authorization).toBe('Bearer kw_acme_crd_CANARY');
});

it('says which policy it replaces: none, or the version that was read', async () => {
  answer = policy;
  await admin.putPolicy('acme', document, 0);
  await admin.putPolicy('acme', document, 4);
  expect(fake.asked.map(({ headers }) => [headers['if-none-match'], headers['if-match']])).toEqual([
    ['*', undefined],
    [undefined, '"4"'],
  ]);
});

it('cannot be led to another path by a name', async () => {
  answer = key;
  await admin.describeKey('acme', '../../globex/keys/k?x=1');
  expect(fake.asked[0]?.path).toBe('/v1/tenants/acme/keys/..%2F..%2Fglobex%2Fkeys%2Fk%3Fx%3D1');
});

it('tries a read again, and never a change', async () => {
  fake.script = (_asked, response) => fake.problem(response, 'unavailable', 503, { retryable: true });
  await expect(admin.listKeys('acme')).rejects.toThrow(Unavailable);
  expect(fake.asked).toHaveLength(3);
  await expect(admin.createKey('acme')).rejects.toThrow(Unavailable);
  expect(fake.asked).toHaveLength(4);
});

it('tells the first of two who publish apart from the second', async () => {
  fake.script = (_asked, response) => fake.problem(response, 'precondition-failed', 412);
  await expect(admin.putPolicy('acme', document, 1)).rejects.toThrow(Conflict);
});

it('gives the proof of a record as text', async () => {
  fake.script = (asked, response) => (response.writeHead(200).end(`bytes of ${asked.operation}`), 'answered');
  expect(await admin.recordProof('acme', 7)).toMatch(/^bytes of /);
});

it('gives checkpoint as text and bundle as a stream, and throws for either as for all', async () => {
  fake.script = (asked, response) => (response.writeHead(200).end(`bytes of ${asked.operation}`), 'answered');
  expect(await admin.checkpoint('acme')).toBe('bytes of checkpoint');
  expect((await buffer(await admin.bundle('acme'))).toString()).toBe('bytes of bundle');
  fake.script = (_asked, response) => fake.problem(response, 'not-allowed', 403);
  await expect(admin.checkpoint('acme')).rejects.toThrow(Refused);
  const error = await admin.bundle('acme').catch((caught: unknown) => caught);
  expect(error).toBeInstanceOf(Refused);
  expect(inspect([error, admin], { depth: 9, showHidden: true })).not.toMatch(/CANARY/);
});
