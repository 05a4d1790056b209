import { epochsOf, MAC, TestDatabase } from './test-database.js';

/** Changes by SQL alone, whoever makes them: each must move the tenant's epoch, or a cached yes would outlive it. */
const MOVING: readonly (readonly [table: string, change: string])[] = [
  ['tenant', `UPDATE keyward.tenant SET state = 'Pending' WHERE tenant_id = 'acme'`],
  ['log', `UPDATE keyward.log SET vkey = 'other' WHERE tenant_id = 'acme'`],
  ['credential', `UPDATE keyward.credential SET revoked_at = now() WHERE tenant_id = 'acme'`],
  ['credential', `DELETE FROM keyward.credential WHERE tenant_id = 'acme'`],
  ['cmk', `UPDATE keyward.cmk SET state = 'Disabled' WHERE tenant_id = 'acme'`],
  ['cmk', `UPDATE keyward.cmk SET tags = '{"a":"b"}' WHERE tenant_id = 'acme'`],
  ['cmk', `UPDATE keyward.cmk SET primary_version = 'v2' WHERE tenant_id = 'acme'`],
  ['cmk', `UPDATE keyward.cmk SET names_mac = sha256('') WHERE tenant_id = 'acme'`],
  ['key_version', `UPDATE keyward.key_version SET blob = 'y' WHERE tenant_id = 'acme'`],
  // Re-wrapped or not: what else of the row changes decides something.
  ['key_version', `UPDATE keyward.key_version SET blob = 'z', spec = 't' WHERE tenant_id = 'acme'`],
  ['tenant_root', `INSERT INTO keyward.tenant_root VALUES ('acme', 1, now())`],
  ['key_version', `UPDATE keyward.key_version SET blob = 'w', usage = 'e' WHERE tenant_id = 'acme'`],
  ['tenant_root', `UPDATE keyward.tenant_root SET rewrapped = true`],
  ['tenant_root', `UPDATE keyward.tenant_root SET root = 2`],
  ['key_version', `UPDATE keyward.key_version SET blob = '' WHERE tenant_id = 'acme'`],
  ['key_version', `UPDATE keyward.key_version SET blob = 'v' WHERE tenant_id = 'acme'`],
  ['alias', `INSERT INTO keyward.alias VALUES ('acme', 'alias/two', 'k1')`],
  ['alias', `UPDATE keyward.alias SET alias = 'alias/three' WHERE alias = 'alias/two'`],
  ['alias', `DELETE FROM keyward.alias WHERE alias = 'alias/three'`],
  [
    'identity_provider',
    `INSERT INTO keyward.identity_provider VALUES ('acme', 'https://a', 'a', 'https://a', '{RS256}', 'v1', 'anna', now(), ${MAC})`,
  ],
  ['identity_provider', `UPDATE keyward.identity_provider SET issuer = 'https://b' WHERE tenant_id = 'acme'`],
  ['identity_provider', `DELETE FROM keyward.identity_provider WHERE tenant_id = 'acme'`],
  ['policy_version', `INSERT INTO keyward.policy_version VALUES ('acme', 1, 'd', 'a', now(), '{}', ${MAC})`],
  ['policy_version', `UPDATE keyward.policy_version SET document = '{"x":1}' WHERE tenant_id = 'acme'`],
  ['policy_version', `UPDATE keyward.policy_version SET mac = sha256('') WHERE tenant_id = 'acme'`],
  ['policy_version', `DELETE FROM keyward.policy_version WHERE tenant_id = 'acme'`],
  ['stop', `INSERT INTO keyward.stop VALUES ('acme', 's1', '{}', '', 'a', now())`],
  ['stop', `UPDATE keyward.stop SET mac = ${MAC} WHERE tenant_id = 'acme'`],
  ['stop', `UPDATE keyward.stop SET lifted_at = now() WHERE tenant_id = 'acme'`],
  ['stop', `UPDATE keyward.stop SET lift_number = 1, lift_mac = ${MAC} WHERE tenant_id = 'acme'`],
  ['stop', `DELETE FROM keyward.stop WHERE tenant_id = 'acme'`],
  ['secret', `UPDATE keyward.secret SET name = 'b' WHERE tenant_id = 'acme'`],
  ['secret', `UPDATE keyward.secret SET tags = '{"a":"b"}' WHERE tenant_id = 'acme'`],
  ['secret', `UPDATE keyward.secret SET rotation = '{"a":"b"}' WHERE tenant_id = 'acme'`],
  ['secret', `UPDATE keyward.secret SET mac = sha256('') WHERE tenant_id = 'acme'`],
  ['secret', `UPDATE keyward.secret SET deletion_at = now() WHERE tenant_id = 'acme'`],
  ['secret', `UPDATE keyward.secret SET deletion_at = NULL WHERE tenant_id = 'acme'`],
  ['secret', `DELETE FROM keyward.secret WHERE tenant_id = 'acme'`],
  ['key_version', `DELETE FROM keyward.key_version WHERE tenant_id = 'acme'`],
  ['cmk', `DELETE FROM keyward.cmk WHERE tenant_id = 'acme'`],
];

const MOVING_THE_PLATFORM: readonly string[] = [
  `INSERT INTO keyward.binding_key VALUES ('platform', 1, now())`,
  `UPDATE keyward.binding_key SET rebound = true`,
  `UPDATE keyward.service SET suspended = true WHERE service = 'billing'`,
  // A grant may name it already: a cached catalogue would go on refusing it.
  `INSERT INTO keyward.service VALUES ('platform', 'reports', '', '{Decrypt}', false, now())`,
  `UPDATE keyward.service SET operations = '{}' WHERE service = 'billing'`,
  `INSERT INTO keyward.tenant_suspension VALUES ('platform', 'acme', '', 'root', now())`,
  `UPDATE keyward.tenant_suspension SET suspended_tenant = 'globex'`,
  `DELETE FROM keyward.tenant_suspension`,
  `DELETE FROM keyward.service WHERE service = 'billing'`,
  `UPDATE keyward.credential SET revoked_at = now() WHERE tenant_id = 'platform'`,
];

const STILL: readonly string[] = [
  `INSERT INTO keyward.cmk VALUES ('acme', 'k9', 'Enabled', '', '{}', 'v9', now(), ${MAC})`,
  `INSERT INTO keyward.key_version VALUES ('acme', 'v9', 'k9', 's', 'u', 'o', 'p', 'l', 'x', 'x')`,
  `INSERT INTO keyward.credential (tenant_id, credential_id, principal, role, auth_method, mac, created_at, expires_at, binding_mac)
    VALUES ('acme', 'crd_9', 'p', 'admin', 'api-key', ${MAC}, now(), now(), ${MAC})`,
  // Bound by the next key.
  `UPDATE keyward.credential SET binding_mac = sha256('a'), binding = 1 WHERE tenant_id = 'acme'`,
  `INSERT INTO keyward.policy_draft VALUES ('acme', 'd', 'a', now(), '{}')`,
  `UPDATE keyward.policy_draft SET digest = 'e'`,
  `INSERT INTO keyward.secret (tenant_id, secret_id, name, type, key_id, description, created_at, mac, labels, revision, labels_mac)
    VALUES ('acme', 's9', 'z', 'generic', 'k9', '', now(), ${MAC}, '{}', 1, ${MAC})`,
  // Which version is current is no rule.
  `UPDATE keyward.secret SET labels = '{"ACSCurrent":"v2"}', revision = 2`,
  `UPDATE keyward.secret SET description = 'other', rotation_state = 'Due', next_rotation_at = now()`,
  `INSERT INTO keyward.grant_use VALUES ('acme', 'rule', now(), 1, now(), 1)`,
];

describe('epochs', () => {
  let database: TestDatabase;

  beforeAll(async () => {
    database = await TestDatabase.start();
    await database.addTenants('platform', 'acme', 'globex');
    await database.as('superuser', (client) =>
      client.query(`INSERT INTO keyward.cmk VALUES ('acme', 'k1', 'Enabled', '', '{}', 'v1', now(), ${MAC});
        INSERT INTO keyward.key_version VALUES ('acme', 'v1', 'k1', 's', 'u', 'o', 'p', 'l', 'x', 'x');
        INSERT INTO keyward.secret (tenant_id, secret_id, name, type, key_id, description, created_at, mac, labels, revision, labels_mac)
          VALUES ('acme', 's1', 'a', 'generic', 'k1', '', now(), ${MAC}, '{}', 1, ${MAC});
        INSERT INTO keyward.service VALUES ('platform', 'billing', '', '{Decrypt}', false, now())`),
    );
  });
  afterAll(() => database.stop());

  const all = () =>
    database.as('superuser', async (client) => ({ acme: await epochsOf(client, 'acme'), globex: await epochsOf(client, 'globex') }));
  const run = (sql: string) => database.as('superuser', (client) => client.query(sql));

  it.each(MOVING)('move with %s: %s', async (_, change) => {
    const before = await all();
    expect((await run(change)).rowCount).toBeGreaterThan(0);
    const after = await all();
    expect(after.acme.tenant).not.toBe(before.acme.tenant);
    expect(after.globex).toEqual(before.globex);
  });

  it.each(MOVING_THE_PLATFORM)('of the platform move with %s', async (change) => {
    const before = await all();
    expect((await run(change)).rowCount).toBeGreaterThan(0);
    const after = await all();
    expect(after.acme.platform).not.toBe(before.acme.platform);
    expect(after.acme.tenant).toBe(before.acme.tenant);
  });

  it.each(STILL)('stay with %s', async (change) => {
    const before = await all();
    await run(change);
    expect(await all()).toEqual(before);
  });

  it('move with the beginning of a re-wrap: who counted those that are open, or ends the version, looks again', async () => {
    await run(`INSERT INTO keyward.cmk VALUES ('acme', 'k8', 'Enabled', '', '{}', 'v8', now(), ${MAC})`);
    const before = await all();
    await run(`INSERT INTO keyward.rewrap (tenant_id, operation_id, key_id, from_version, to_version, service, items_per_second, state, created_by, created_at)
      VALUES ('acme', 'op_1', 'k8', 'v7', 'v8', 'billing', 1, 'pending', 'anna', now())`);
    const after = await all();
    expect(after.acme.tenant).not.toBe(before.acme.tenant);
    expect(after.globex).toEqual(before.globex);
  });

  it('stay while a key is wrapped anew under a newer root: the blob that somebody read before is good until the old root goes', async () => {
    await run(`UPDATE keyward.key_version SET root = 0 WHERE version_id = 'v9'`);
    const before = await all();
    await run(`UPDATE keyward.key_version SET blob = 'anew', mac = 'y' WHERE version_id = 'v9'`);
    expect((await run(`SELECT root FROM keyward.key_version WHERE version_id = 'v9'`)).rows).toEqual([{ root: 2 }]);
    expect(await all()).toEqual(before);
  });

  it('are watched on every table that decisions are read from', async () => {
    const functions = ['rules_of', 'key_of', 'credential_of', 'credential_of_subject', 'identity_provider_of'];
    const { rows } = await run(`
      SELECT c.relname, EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = c.oid AND t.tgfoid = 'keyward.move_epoch'::regproc AND t.tgdeferrable AND t.tginitdeferred AND t.tgenabled = 'O') AS watched
      FROM pg_class c WHERE c.relnamespace = 'keyward'::regnamespace AND c.relkind = 'r' AND c.relname <> 'tenant_head'
        AND EXISTS (SELECT FROM pg_proc p WHERE p.pronamespace = 'keyward'::regnamespace AND p.proname = ANY ('{${functions.join(',')}}') AND p.prosrc ~ ('keyward\\.' || c.relname || '\\M'))`);
    expect(rows).toHaveLength(12);
    expect(rows.filter(({ watched }) => !watched)).toEqual([]);
  });

  it('cannot be passed by emptying a table that decisions rest on', async () => {
    const tables = ['tenant_head', ...new Set([...MOVING.map(([table]) => table), 'service', 'tenant_suspension', 'key_rotation'])];
    expect(tables).toHaveLength(15);
    for (const table of tables) await expect(run(`TRUNCATE keyward.${table} CASCADE`)).rejects.toMatchObject({ code: 'KW005' });
    // Not only because the cascade comes to one that refuses.
    const { rows } = await run(
      `SELECT relname FROM pg_trigger JOIN pg_class c ON c.oid = tgrelid WHERE tgname = 'never_emptied' AND NOT c.relispartition`,
    );
    expect(rows.map(({ relname }) => relname).sort()).toEqual(
      [...tables, 'pruned_tile', 'signed_checkpoint', 'trail_node', 'trail_record'].sort(),
    );
  });

  it('lock the head only when the transaction ends', async () => {
    const [slow, other] = [await database.session('superuser'), await database.session('superuser')];
    await slow.query(`BEGIN; UPDATE keyward.tenant SET display_name = 'new' WHERE tenant_id = 'acme'`);
    expect((await other.query(`SELECT FROM keyward.tenant_head WHERE tenant_id = 'acme' FOR UPDATE SKIP LOCKED`)).rowCount).toBe(1);
    await slow.query('COMMIT');
    await Promise.all([slow.end(), other.end()]);
  });

  it('of the platform wait for appends under way, and hold back later ones', async () => {
    const [appending, changing] = [await database.session('superuser'), await database.session('superuser')];
    await appending.query('BEGIN; SELECT pg_advisory_xact_lock_shared(7710)');
    let changed = false;
    const change = changing.query(`UPDATE keyward.service SET suspended = NOT suspended`).then(() => {
      changed = true;
    });
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(changed).toBe(false);
    await appending.query('COMMIT');
    await change;
    await Promise.all([appending.end(), changing.end()]);
  });
});
