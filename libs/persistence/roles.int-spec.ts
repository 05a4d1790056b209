import type pg from 'pg';
import {
  AUDIT_OPERATIONS,
  DATA_OPERATIONS,
  KEY_OPERATIONS,
  RESTORE_OPERATIONS,
  ROTATION_USES,
  SECRET_USES,
  SERVICE_OPERATIONS,
  SYSTEM_OPERATIONS,
} from '#contract';
import { aRecord, epochsOf, MAC, type Role, TestDatabase, type TestTenant } from './test-database.js';

const APPEND = 'SELECT keyward.trail_append($1, $2, $3, $4, $5, $6) AS answers';
const state = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => 'allowed',
    (error: { code: string }) => error.code,
  );

describe('what each role can and cannot do', () => {
  let database: TestDatabase;
  let acme: TestTenant;

  beforeAll(async () => {
    database = await TestDatabase.start();
    acme = (await database.addTenants('platform', 'acme', 'globex')).get('acme')!;
  });
  afterAll(() => database.stop());

  async function append(client: pg.Client, ...bodies: readonly (string | Buffer)[]): Promise<number[]> {
    const epochs = await database.as('superuser', (superuser) => epochsOf(superuser, 'acme'));
    const batch = bodies.map((body) => Buffer.from(body as string));
    const each = <Item>(item: Item) => batch.map(() => item);
    const lengths = batch.map(({ length }) => length);
    const { rows } = await client.query<{ answers: string[] }>(APPEND, [
      Buffer.concat(batch),
      lengths,
      each('acme'),
      each(epochs.tenant),
      each(epochs.platform),
      each(null),
    ]);
    return rows[0]!.answers.map(Number);
  }
  const good = () => JSON.stringify(aRecord(acme, 'Encrypt'));

  it('lets each role execute exactly its functions', async () => {
    const { rows } = await database.as('superuser', (client) =>
      client.query<{ name: string; roles: string }>(`
        SELECT p.proname AS name, coalesce(string_agg(DISTINCT replace(r.rolname, 'keyward_', ''), ' ' ORDER BY replace(r.rolname, 'keyward_', '')), '') AS roles
        FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
        LEFT JOIN pg_roles r ON r.rolname IN ('keyward_key_plane', 'keyward_data_plane', 'keyward_auditor', 'keyward_worker') AND has_function_privilege(r.oid, p.oid, 'EXECUTE')
        WHERE n.nspname = 'keyward' GROUP BY 1 ORDER BY 1`),
    );
    expect(Object.fromEntries(rows.map(({ name, roles }) => [name, roles]))).toEqual({
      advance_secret_rotation: 'worker',
      claim_secret_rotation: 'worker',
      due_secret_rotations: 'worker',
      release_secret_rotation: 'worker',
      advance_sink: 'worker',
      binding_key_destroyed: 'worker',
      binding_rotation: 'worker',
      binding_state: 'key_plane',
      blobs_to_rewrap: 'worker',
      bootstrap_platform: 'key_plane',
      calls_since: 'key_plane',
      checkpoint_over: 'key_plane',
      claim_job_kinds: 'worker',
      claim_sinks: 'worker',
      collect_rewrap_results: 'data_plane',
      count_contexts: 'worker',
      count_read: 'auditor',
      credential_must_hold: 'auditor',
      credential_of: 'auditor data_plane key_plane',
      credential_of_subject: 'auditor key_plane',
      drop_empty_months: 'worker',
      drop_expired_imports: 'worker',
      ensure_months: 'worker',
      destroy_key: 'worker',
      destroy_again: 'key_plane',
      drop_uploads: 'worker',
      close_tenant: 'worker',
      due_off_boardings: 'worker',
      end_tenant: 'worker',
      off_board_step: 'worker',
      due_deletions: 'worker',
      due_purges: 'worker',
      due_rotations: 'worker',
      due_warnings: 'worker',
      due_secret_moves: 'worker',
      due_uploads: 'worker',
      end_rebinding: 'worker',
      end_secret_moves: 'worker',
      end_rewrapping: 'worker',
      erase_read_fields: 'key_plane',
      epochs_of: 'data_plane',
      finish_rewrap: 'data_plane',
      identity_provider_of: 'auditor key_plane',
      idle_logs: 'worker',
      imports_to_rewrap: 'worker',
      job_done: 'worker',
      job_episodes: 'worker',
      job_failed: 'worker',
      job_rests: '',
      jobs_of: 'key_plane',
      json_or_null: '',
      keep_checkpoint: '',
      key_of: 'data_plane key_plane worker',
      key_inventory: 'auditor',
      key_usage: 'key_plane',
      last_use: 'key_plane',
      leaf_hashes_of: 'worker',
      log_key_destroyed: 'worker',
      log_keys_due: 'worker',
      log_heads: 'key_plane',
      logs_to_sign: 'worker',
      month_is_empty: '',
      move_epoch: '',
      newest_log_key: 'worker',
      onboard_tenant: 'key_plane',
      label_coverage: 'auditor',
      open_leases: 'auditor',
      policy_history: 'auditor',
      receipts_owed: 'worker',
      prune_below: 'key_plane',
      platform_figures: 'worker',
      prune_step: 'worker',
      purge_secret: 'worker',
      put_secret_version: 'data_plane key_plane',
      quota_used: '',
      quotas_of: 'key_plane',
      rate_quotas: 'auditor data_plane key_plane',
      take_quota: 'key_plane',
      trail_commit_told: 'key_plane',
      record_reads: 'auditor',
      recorded_uses: 'key_plane',
      refuse_change: '',
      refuse_needed_version: '',
      refuse_unless_pruned: '',
      release_sink: 'worker',
      report_job: 'worker',
      retire_log_key: 'worker',
      retire_root: 'worker',
      rewrap_of: 'data_plane',
      roll_up: 'worker',
      root_of: 'worker',
      rotate_key: 'worker',
      rotating_roots: 'worker',
      rules_of: 'auditor data_plane key_plane worker',
      save_checkpoint: 'worker',
      save_nodes: 'worker',
      save_receipt: 'worker',
      rows_to_rebind: 'worker',
      save_rebound: 'worker',
      save_rewrapped: 'worker',
      save_rewrapped_import: 'worker',
      secret_of: 'data_plane key_plane worker',
      seq_at: 'auditor',
      seq_of_stop: 'key_plane',
      secrets_to_move: 'worker',
      settle_rewrap_page: 'data_plane',
      settle_secret_moves: 'worker',
      settle_uploads: 'worker',
      shared_from: 'key_plane',
      shredding_receipt: 'auditor',
      sink_log_keys: 'worker',
      sink_min_index: 'worker',
      sink_records: 'worker',
      sink_tested: 'worker',
      stamp_root: '',
      stop_restored: 'key_plane',
      suspend_rewrap: 'data_plane',
      suspend_secret_moves: 'worker',
      suspend_uploads: 'worker',
      take_rewrap_page: 'data_plane',
      tile_hashes_of: 'key_plane worker',
      tombstones_since: 'data_plane key_plane worker',
      tell_wear: 'worker',
      trail_append: 'auditor data_plane key_plane worker',
      trail_commit: 'data_plane key_plane',
      sealed_under: '',
      upload_rewrap_items: 'data_plane',
      uploaded_bytes: 'data_plane',
      count_uploaded_bytes: '',
      unbind: '',
      unbind_labels: '',
      unbind_lift: '',
      uses_before: 'key_plane',
      warn_of_expiry: 'worker',
      wear_to_tell: 'worker',
      waiting_items: 'worker',
      what_has_gone: 'worker',
      worn_keys: 'worker',
    });
  });

  it('fixes the search path of every function, and has every one that crosses tenants owned by keyward_functions', async () => {
    const { rows } = await database.as('superuser', (client) =>
      client.query<{ proname: string; proconfig: string[]; owner: string }>(
        `SELECT proname, proconfig, pg_get_userbyid(proowner) AS owner FROM pg_proc WHERE pronamespace = 'keyward'::regnamespace AND (prosecdef OR proconfig IS NULL)`,
      ),
    );
    expect(rows.filter(({ proconfig }) => !proconfig.includes('search_path=pg_catalog, pg_temp'))).toEqual([]);
    // Only the owner of a table attaches partitions to it; row-level security shows it no row.
    expect(
      rows
        .filter(({ owner }) => owner !== 'keyward_functions')
        .map(({ proname }) => proname)
        .sort(),
    ).toEqual(['drop_empty_months', 'ensure_months']);
  });

  it('gives tables to the key plane and the auditor only, and the right to change records to nobody', async () => {
    const { rows } = await database.as('superuser', (client) =>
      client.query<{ role: string; rights: string }>(`
        SELECT replace(grantee, 'keyward_', '') AS role, string_agg(table_name || ' ' || lower(privilege_type), ', ' ORDER BY table_name, privilege_type) AS rights
        FROM information_schema.role_table_grants WHERE table_schema = 'keyward' AND grantee NOT IN ('keyward_owner', 'keyward_functions') GROUP BY 1 ORDER BY 1`),
    );
    expect(Object.fromEntries(rows.map(({ role, rights }) => [role, rights]))).toEqual({
      auditor:
        'log select, log_key select, log_retention select, pruned_tile select, schema_migration select, signed_checkpoint select, trail_checkpoint select, trail_disclosure select, trail_node select, trail_record select, trail_stat select, trail_stat_head select',
      data_plane: 'schema_migration select',
      key_plane:
        'alias delete, alias insert, alias select, binding_key insert, binding_key select, cmk insert, cmk select, credential insert, credential select, identity_provider delete, identity_provider insert, identity_provider select, key_import insert, key_import select, key_rotation insert, key_rotation select, key_version insert, key_version select, log select, log_key insert, log_key select, log_retention select, off_boarding delete, off_boarding insert, off_boarding select, policy_draft delete, policy_draft insert, policy_draft select, policy_version insert, policy_version select, rewrap insert, rewrap select, schema_migration select, secret delete, secret insert, secret select, secret_version select, service insert, service select, sink delete, sink insert, sink select, stop insert, stop select, tenant select, tenant_quota delete, tenant_quota insert, tenant_quota select, tenant_root insert, tenant_root select, tenant_suspension delete, tenant_suspension insert, tenant_suspension select, trail_disclosure delete',
      worker: 'schema_migration select',
    });
  });

  it('lets the key plane update the columns that its operations change, and nobody else any', async () => {
    const { rows } = await database.as('superuser', (client) =>
      client.query<{ role: string; columns: string[] }>(`
        SELECT grantee AS role, array_agg(table_name || '.' || column_name ORDER BY table_name, column_name) AS columns
        FROM information_schema.role_column_grants WHERE table_schema = 'keyward' AND privilege_type = 'UPDATE' AND grantee NOT IN ('keyward_owner', 'keyward_functions') GROUP BY 1`),
    );
    expect(rows).toEqual([
      {
        role: 'keyward_key_plane',
        columns: [
          'alias.key_id',
          ...['broken', 'ended_at', 'number', 'rebound', 'retire_mac', 'started_at'].map((name) => `binding_key.${name}`),
          ...['deletion_at', 'deletion_protection', 'description', 'names_mac', 'primary_version', 'state', 'state_before', 'tags'].map(
            (name) => `cmk.${name}`,
          ),
          'credential.revoked_at',
          ...['algorithms', 'audience', 'changed_at', 'changed_by', 'issuer', 'jwks_uri', 'mac', 'version'].map(
            (name) => `identity_provider.${name}`,
          ),
          ...['key_import.blob', 'key_import.used_at'],
          ...['interval_days', 'mac', 'next_at', 'version'].map((name) => `key_rotation.${name}`),
          ...['blob', 'import_check', 'in_memory', 'mac', 'protection_level', 'public_key', 'retired_as_of', 'valid_to'].map(
            (name) => `key_version.${name}`,
          ),
          'log_retention.days',
          ...['begun_at', 'begun_by', 'ends_at', 'last_root', 'reason', 'step', 'suspension'].map((name) => `off_boarding.${name}`),
          ...['author', 'digest', 'document', 'saved_at'].map((name) => `policy_draft.${name}`),
          ...['ended_at', 'reason', 'state'].map((name) => `rewrap.${name}`),
          ...['deletion_at', 'description', 'mac', 'next_rotation_at', 'rotation', 'rotation_state', 'tags'].map(
            (name) => `secret.${name}`,
          ),
          ...['service.operations', 'service.suspended'],
          ...['description', 'failing_since', 'failures', 'last_error', 'lease', 'next_attempt_at', 'next_seq'].map(
            (name) => `sink.${name}`,
          ),
          ...['sealed', 'state', 'target', 'test_requested_at'].map((name) => `sink.${name}`),
          ...['lift_mac', 'lift_number', 'lifted_at', 'lifted_by', 'mac'].map((name) => `stop.${name}`),
          ...['tenant.state', 'tenant_quota.most'],
          ...['ended_at', 'rewrapped', 'root', 'started_at'].map((name) => `tenant_root.${name}`),
          ...['reason', 'suspended_at', 'suspended_by'].map((name) => `tenant_suspension.${name}`),
        ],
      },
    ]);
  });

  it('forces row-level security on every table with a tenant, and puts the tenant first in every primary key', async () => {
    const { rows } = await database.as('superuser', (client) =>
      client.query(`
        SELECT c.relname, c.relrowsecurity AND c.relforcerowsecurity AS forced,
          (SELECT a.attname FROM pg_index i JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = i.indkey[0] WHERE i.indrelid = c.oid AND i.indisprimary) AS first
        FROM pg_class c WHERE c.relnamespace = 'keyward'::regnamespace AND c.relkind = 'r' AND c.relname NOT IN ('schema_migration', 'plane_operation', 'job_kind')`),
    );
    expect(rows.length).toBeGreaterThan(15);
    expect(rows.filter(({ forced, first }) => !forced || first !== 'tenant_id')).toEqual([]);
  });

  it('has no role that bypasses row-level security or inherits', async () => {
    const { rows } = await database.as('superuser', (client) =>
      client.query(
        `SELECT rolname FROM pg_roles WHERE rolname LIKE 'keyward%' AND (rolbypassrls OR rolsuper OR rolinherit OR rolcreaterole OR rolcreatedb)`,
      ),
    );
    expect(rows).toEqual([]);
  });

  it('shows no row without a tenant, only the tenant’s with one, and refuses to write another’s', async () => {
    await database.as('keyward_key_plane', async (client) => {
      expect((await client.query('SELECT FROM keyward.credential')).rowCount).toBe(0);
      await client.query(`BEGIN; SELECT set_config('app.tenant_id', 'acme', true)`);
      expect((await client.query('SELECT tenant_id FROM keyward.credential')).rows).toEqual([{ tenant_id: 'acme' }]);
      const foreign = client.query(`INSERT INTO keyward.policy_version VALUES ('globex', 1, '', '', now(), '{}', ${MAC})`);
      expect(await state(foreign)).toBe('42501');
      await client.query('ROLLBACK');
      expect((await client.query('SELECT FROM keyward.credential')).rowCount).toBe(0);
    });
  });

  it.each(['keyward_key_plane', 'keyward_data_plane', 'keyward_auditor', 'keyward_worker'] satisfies Role[])(
    'lets %s neither change records nor make tables',
    async (role) => {
      await database.as(role, async (client) => {
        const refused = [
          'UPDATE keyward.trail_record SET seq = 0',
          'DELETE FROM keyward.trail_record',
          'TRUNCATE keyward.trail_record',
          `INSERT INTO keyward.trail_record VALUES ('acme', 99, '', '', now(), '', '')`,
          'UPDATE keyward.tenant_head SET epoch = epoch',
          'UPDATE keyward.grant_use SET used_minute = 0',
          'DELETE FROM keyward.grant_use',
          'SELECT FROM keyward.grant_use',
          'SELECT FROM keyward.trail_record_first',
          'DELETE FROM keyward.trail_record_other',
          'UPDATE keyward.signed_checkpoint SET size = size',
          'DELETE FROM keyward.signed_checkpoint',
          'UPDATE keyward.trail_node SET hash = hash',
          'DELETE FROM keyward.trail_node',
          'UPDATE keyward.log_key SET retired_at = now()',
          'DELETE FROM keyward.log_key',
          'UPDATE keyward.log_retention SET min_index = 256',
          'DELETE FROM keyward.pruned_tile',
          'UPDATE keyward.read_count SET count = 0',
          'DELETE FROM keyward.read_count',
          `UPDATE keyward.sink SET tested_at = now()`,
          'UPDATE keyward.trail_disclosure SET seq = 0',
          `INSERT INTO keyward.trail_disclosure VALUES ('acme', '', 0, '', '', false, '')`,
          ...(role === 'keyward_auditor' ? [] : ['SELECT disclosure FROM keyward.trail_disclosure']),
          ...(role === 'keyward_key_plane' ? [] : ['DELETE FROM keyward.trail_disclosure']),
          'UPDATE keyward.trail_stat SET count = 0',
          'SELECT FROM keyward.job_failure',
          'UPDATE keyward.job_kind SET next_at = now()',
          'UPDATE keyward.trail_stat_head SET covered_size = 0',
          'CREATE TEMPORARY TABLE tenant_head ()',
          'CREATE TABLE keyward.mine ()',
          'CREATE TABLE public.mine ()',
          'SET ROLE keyward_functions',
          'SET ROLE keyward_owner',
        ];
        for (const sql of refused) expect([sql, await state(client.query(sql))]).toEqual([sql, '42501']);
      });
    },
  );

  it('has records that not even their owner changes', async () => {
    await database.as('keyward_data_plane', (client) => append(client, good()));
    for (const role of ['keyward_owner', 'superuser'] as const) {
      await database.as(role, async (client) => {
        await client.query(`SET app.tenant_id = 'acme'`);
        for (const sql of [
          'UPDATE keyward.trail_record SET seq = seq',
          'DELETE FROM keyward.trail_record',
          'TRUNCATE keyward.trail_record',
          'TRUNCATE keyward.trail_record_first',
        ])
          expect([sql, await state(client.query(sql))]).toEqual([sql, 'KW005']);
      });
    }
  });

  it('is not led astray by a search path or a temporary table', async () => {
    await database.as('superuser', (client) => client.query('GRANT TEMPORARY ON DATABASE keyward TO keyward_data_plane'));
    await database.as('keyward_data_plane', async (client) => {
      await client.query(`CREATE TEMPORARY TABLE tenant_head (tenant_id text, size bigint, epoch uuid, last_at timestamptz);
        INSERT INTO tenant_head VALUES ('acme', 1000, '00000000-0000-4000-8000-000000000000', now()); SET search_path = pg_temp, keyward`);
      const body = Buffer.from(good());
      const forged = ['00000000-0000-4000-8000-000000000000'];
      const { rows } = await client.query<{ answers: string[] }>(APPEND, [body, [body.length], ['acme'], forged, forged, [null]]);
      expect(rows[0]?.answers).toEqual(['-1']);
    });
    await database.as('superuser', (client) => client.query('REVOKE TEMPORARY ON DATABASE keyward FROM keyward_data_plane'));
  });

  it('knows the operations of each plane as the contract lists them', async () => {
    const { rows } = await database.as('superuser', (client) =>
      client.query<{ role: string; ops: string[] }>('SELECT role, array_agg(op) AS ops FROM keyward.plane_operation GROUP BY role'),
    );
    const ofRole = (role: Role) => new Set(rows.find((row) => row.role === role)?.ops);
    expect(ofRole('keyward_data_plane')).toEqual(new Set([...DATA_OPERATIONS, ...SECRET_USES, ...SERVICE_OPERATIONS]));
    expect(ofRole('keyward_key_plane')).toEqual(new Set([...KEY_OPERATIONS, ...SECRET_USES, ...RESTORE_OPERATIONS]));
    expect(ofRole('keyward_auditor')).toEqual(new Set(AUDIT_OPERATIONS));
    expect(ofRole('keyward_worker')).toEqual(
      new Set([...ROTATION_USES, ...SYSTEM_OPERATIONS.filter((op) => !(RESTORE_OPERATIONS as readonly string[]).includes(op))]),
    );
  });

  const poisons: readonly (readonly [string, (good: string) => string | Buffer])[] = [
    ['U+0000', (body) => body.replace('billing', 'bil\\u0000ling')],
    ['a lone surrogate', (body) => body.replace('billing', 'bil\\ud800ling')],
    ['a number beyond numbers', (body) => body.replace('812', '1e400000')],
    ['deep nesting', (body) => `${body.slice(0, -1)},"x":${'['.repeat(3900)}${']'.repeat(3900)}}`],
    ['bytes that are not UTF-8', (body) => Buffer.concat([Buffer.from(body.slice(0, -2)), Buffer.from([0xff, 0xfe])])],
    ['no JSON', () => '{"op":'],
    ['an array', () => '["op"]'],
    ['an empty object', () => '{}'],
    ['a seq of its own', (body) => `${body.slice(0, -1)},"seq":3}`],
    ['an escaped seq of its own', (body) => `${body.slice(0, -1)},"s\\u0065q":3}`],
    ['a writer of its own', (body) => body.replace('{', '{"writer":"keyward_key_plane",')],
    ['a recordedAt of its own', (body) => body.replace('{', '{"recordedAt":"2020",')],
    ['space before it', (body) => ` ${body}`],
    ['a second op', (body) => `${body.slice(0, -1)},"op":"PutPolicy"}`],
    ['no op', (body) => body.replace('"op"', '"no"')],
    ['no outcome', (body) => body.replace('"outcome"', '"no"')],
    ['an outcome that is no text', (body) => body.replace('"succeeded"', 'null')],
    ['too many bytes', (body) => `${body.slice(0, -1)},"x":"${'x'.repeat(8000)}"}`],
    ["another tenant's log", (body) => body.replace(acme.logId, 'log_01jd00000000000000000000aa')],
  ];
  it.each(poisons)('refuses a record with %s, alone, and takes those beside it', async (_, poison) => {
    await database.as('keyward_data_plane', async (client) => {
      const [first, poisoned, last] = await append(client, good(), poison(good()), good());
      expect(poisoned).toBe(-3);
      expect(last).toBe(first! + 1);
    });
  });

  it('takes escapes that JSON needs', async () => {
    const [seq] = await database.as('keyward_data_plane', (client) => append(client, good().replace('billing', 'b\\"i\\\\u0000 é 漢')));
    expect(seq).toBeGreaterThanOrEqual(0);
  });

  it.each(['off', 'local', 'remote_write'])('appends nothing under synchronous_commit = %s', async (setting) => {
    await database.as('keyward_data_plane', async (client) => {
      await client.query(`SET synchronous_commit = ${setting}`);
      expect(await state(append(client, good()))).toBe('KW004');
    });
  });

  it('keeps operators from making a tenant out of the platform, or anything but an enrolment code', async () => {
    await database.as('keyward_key_plane', async (client) => {
      const onboard = (tenant: string, role: string) =>
        state(
          client.query(
            `SELECT keyward.onboard_tenant($1, 'x', 'Pending', decode(repeat('00', 32), 'hex'), now(), 'l', 'o', 'v', 'crd', 'p', $2, ${MAC}, now(), now(), ${MAC})`,
            [tenant, role],
          ),
        );
      expect(await onboard('platform', 'enrolment')).toBe('42501');
      expect(await onboard('new-tenant', 'admin')).toBe('42501');
      expect(await onboard('acme', 'enrolment')).toBe('23505');
      expect(await onboard('new-tenant', 'enrolment')).toBe('allowed');
    });
  });
});
