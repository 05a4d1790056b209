import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { eventually } from '../../apps/custodian/test-bed.js';
import { api, must } from './api.js';
import { INVOICE_POLICY, type Onboarded, onboarded } from './onboarded.js';

const CONTEXT = { purpose: 'invoice' };
const [INVOICES] = INVOICE_POLICY.grants;
/** What a DBA would like acme to have said. */
const WIDE = { ...INVOICE_POLICY, grants: [{ ...INVOICES, objects: ['*'], when: undefined }] };
const LATEST = "tenant_id = 'acme' AND version = (SELECT max(version) FROM keyward.policy_version WHERE tenant_id = 'acme')";

/** A DBA with every right in SQL: what was not said through Keyward opens nothing, and the operator is told. */
describe('rules that somebody wrote past Keyward', () => {
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
    api(world.platform.urls.keyPlane, world.acme.admin, method, `/v1/tenants/acme${path}`, body, headers);
  const dataKey = async (tenant = 'acme') =>
    (
      await api(world.platform.urls.dataPlanes[0]!, world.billing, 'POST', `/v1/tenants/${tenant}/data-keys`, {
        keyId: 'alias/invoices',
        encryptionContext: CONTEXT,
      })
    ).status;
  const sql = (text: string, ...values: unknown[]) => database.query<Record<string, unknown>>(text, values);
  const alarms = (plane: 'data-plane-1' | 'key-plane') =>
    readFileSync(join(world.platform.dataDir.logs, `${plane}.log`), 'utf8').split('"binding broken').length - 1;
  const inForce = async () =>
    Number((await must(world.platform.urls.keyPlane, world.acme.admin, 'GET', '/v1/tenants/acme/policy')).body['version']);
  const publish = async (document: unknown) => {
    const present = await inForce();
    expect((await admin('PUT', '/policy', document, { 'if-match': `"${present}"` })).status).toBe(200);
    return present + 1;
  };

  const stopOfBilling = async (): Promise<string> => {
    const { body } = await admin('POST', '/stops', { target: { scope: 'service', service: 'billing' } });
    expect(await dataKey()).toBe(403);
    return String(body['stopId']);
  };
  const STOP = "tenant_id = 'acme' AND lifted_at IS NULL";

  it.each<[string, string, string, string?]>([
    ['a wider policy', 'policy_version', `document = '${JSON.stringify(WIDE)}'`],
    ['an author', 'policy_version', "author = 'eve'"],
    ['what is no policy at all', 'policy_version', `document = '{"schema":"keyward.policy/1","grants":"all"}'`],
    ['a name of a key', 'cmk', `tags = '{"class":"public"}'`, "tenant_id = 'acme'"],
    ['what is no name of a key', 'cmk', `tags = '[1]'`, "tenant_id = 'acme'"],
  ])('%s: nothing opens, with an alarm, until it is as it was', async (_, table, edit, where = LATEST) => {
    expect(await dataKey()).toBe(200);
    const before = alarms('data-plane-1');
    const { rows } = await sql(`SELECT * FROM keyward.${table} WHERE ${where}`);
    const column = edit.split(' = ')[0]!;
    await sql(`UPDATE keyward.${table} SET ${edit} WHERE ${where}`);
    expect(await dataKey()).toBe(503);
    await eventually(() => Promise.resolve(alarms('data-plane-1') > before));
    const genuine = rows[0]![column];
    await sql(`UPDATE keyward.${table} SET ${column} = $1 WHERE ${where}`, typeof genuine === 'string' ? genuine : JSON.stringify(genuine));
    expect(await dataKey()).toBe(200);
  });

  it.each<[string, string, number]>([
    ['made to mean somebody else', `target = '{"scope":"service","service":"nobody"}'`, 503],
    ['made to mean nothing', `target = '{"scope":"nothing"}'`, 503],
    ['without its MAC stops everything, as one that still waits for it', 'mac = NULL', 403],
    ['lifted by hand', "lifted_at = now(), lifted_by = 'eve', lift_number = 99, lift_mac = mac", 503],
  ])('a stop, %s', async (_, edit, status) => {
    const stopId = await stopOfBilling();
    const { rows } = await sql(`SELECT mac, target::text FROM keyward.stop WHERE ${STOP}`);
    await sql(`UPDATE keyward.stop SET ${edit} WHERE stop_id = $1`, stopId);
    expect(await dataKey()).toBe(status);
    await sql(
      'UPDATE keyward.stop SET mac = $2, target = $3, lifted_at = NULL, lifted_by = NULL, lift_number = NULL, lift_mac = NULL WHERE stop_id = $1',
      ...[stopId, rows[0]!['mac'], rows[0]!['target']],
    );
    expect(await dataKey()).toBe(403);
    expect((await admin('DELETE', `/stops/${stopId}`)).status).toBe(204);
    expect(await dataKey()).toBe(200);
  });

  it("another tenant's policy opens nothing here", async () => {
    await sql(`INSERT INTO keyward.policy_version SELECT 'globex', version, digest, author, published_at, document, mac
      FROM keyward.policy_version WHERE ${LATEST}`);
    expect(await dataKey('globex')).toBe(503);
    await sql("DELETE FROM keyward.policy_version WHERE tenant_id = 'globex'");
    expect(await dataKey('globex')).toBe(403);
  });

  it("another's credential with a better role is nobody's", async () => {
    const id = /crd_[0-9a-z]{26}/.exec(world.acme.auditor)![0];
    await sql("UPDATE keyward.credential SET role = 'admin' WHERE credential_id = $1", id);
    const answer = await api(world.platform.urls.keyPlane, world.acme.auditor, 'GET', '/v1/tenants/acme/policy');
    expect(answer.status).toBe(401);
    await sql("UPDATE keyward.credential SET role = 'auditor' WHERE credential_id = $1", id);
  });

  it('an old version that was edited is not rolled back to: its words would be bound as if they had been published', async () => {
    const old = await inForce();
    await publish({ ...INVOICE_POLICY, grants: [{ ...INVOICES, description: 'anew' }] });
    const before = alarms('key-plane');
    await sql("UPDATE keyward.policy_version SET document = $1 WHERE tenant_id = 'acme' AND version = $2", JSON.stringify(WIDE), old);
    expect((await admin('POST', `/policy/versions/${old}/rollback`, {}, { 'if-match': `"${old + 1}"` })).status).toBe(503);
    expect((await admin('GET', `/policy/versions/${old}`)).status).toBe(503);
    await eventually(() => Promise.resolve(alarms('key-plane') > before));
    expect(await inForce()).toBe(old + 1);
  });

  it('a draft that was swapped after its validation is not published', async () => {
    const present = await inForce();
    await admin('PUT', '/policy/draft', { text: JSON.stringify(INVOICE_POLICY) });
    const { digest } = (await admin('GET', '/policy/draft/validation')).body;
    await sql("UPDATE keyward.policy_draft SET document = $1 WHERE tenant_id = 'acme'", JSON.stringify(WIDE));
    const swapped = await admin('POST', '/policy/draft/publish', { digest, acknowledge: ['G051', 'G052'] }, { 'if-match': `"${present}"` });
    expect([swapped.status, swapped.body['code']]).toEqual([412, 'precondition-failed']);
    expect((await admin('GET', '/policy/draft/validation')).body['digest']).not.toBe(digest);
    expect(await inForce()).toBe(present);
  });

  it('the worker rotates a key that is worn, and none whose due time somebody moved', async () => {
    const { keyId } = world.acme;
    const primary = async () =>
      String((await must(world.platform.urls.keyPlane, world.acme.admin, 'GET', `/v1/tenants/acme/keys/${keyId}`)).body['primaryVersion']);
    const jobsDone = async (kind: string) =>
      Number((await sql('SELECT done FROM keyward.job_kind WHERE kind = $1', kind)).rows[0]?.['done'] ?? 0);
    const until = async (isSo: () => Promise<boolean>) => {
      while (!(await isSo())) await sleep(100);
    };
    const first = await primary();
    const policy = { enabled: true, intervalDays: 90 };
    expect((await admin('PUT', `/keys/${keyId}/rotation`, policy, { 'if-none-match': '*' })).status).toBe(200);
    const before = await jobsDone('rotate-key');
    await sql('UPDATE keyward.key_rotation SET next_at = now()');
    await until(async () => (await jobsDone('rotate-key')) > before);
    expect(await primary()).toBe(first);

    await sql(
      `INSERT INTO keyward.key_wear (tenant_id, version_id, key_id, sealed) VALUES ('acme', $2, $1, 2147483648)
         ON CONFLICT (tenant_id, version_id) DO UPDATE SET sealed = excluded.sealed`,
      ...[keyId, first],
    );
    await sql(`UPDATE keyward.job_kind SET next_at = '-infinity' WHERE kind = 'rotate-worn-key'`);
    await until(async () => (await primary()) !== first);
    expect(await dataKey()).toBe(200);
    const { rows } = await sql(`SELECT count(*)::int AS records FROM keyward.trail_record WHERE op = 'RotateKey' AND key_id = $1`, keyId);
    expect(rows).toEqual([{ records: 1 }]);
  });
});
