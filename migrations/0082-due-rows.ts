import type { MigrationInterface, QueryRunner } from 'typeorm';
import { keysDue } from './0052-log-keys.js';
import { TOMBSTONE, TOMBSTONE_COLUMNS } from './0060-key-destruction.js';
import { mayExecute, ownedByFunctions } from './row-security.js';

const DELETIONS = 'due_deletions(text, text)';
const OWED = 'receipts_owed(text, text)';
const ROOTS = 'rotating_roots(text)';
const LOG_KEYS = 'log_keys_due(text)';
const FUNCTIONS = [DELETIONS, OWED, ROOTS, LOG_KEYS];

/** At most so many are on their way to be done at once. */
export const MOST = 500;
/** All of them without those that rest after a failure; or the one that is named, whether it rests or not: a job reads its row again. */
export const wanted = (kind: string, tenant: string, subject: string): string =>
  `(of_tenant = ${tenant} OR of_tenant IS NULL AND NOT keyward.job_rests('${kind}', ${tenant}, ${subject}))`;

/** What is due, as jobs ask it: beside the functions of the same names without parameters, which code before jobs calls. */
export class DueRows implements MigrationInterface {
  readonly name = 'DueRows0000000000082';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      -- One that somebody is just changing is left for the next look.
      CREATE FUNCTION keyward.due_deletions(of_tenant text, of_key text) RETURNS TABLE (tenant_id text, key_id text, due text, log_id text)
      LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
        SELECT k.tenant_id, k.key_id, k.deletion_at::text, l.log_id
          FROM keyward.cmk k JOIN keyward.log l USING (tenant_id)
          WHERE k.state = 'PendingDeletion' AND k.deletion_at <= clock_timestamp()
            AND ${wanted('destroy-key', 'k.tenant_id', 'k.key_id')} AND (of_key = k.key_id OR of_key IS NULL)
          ORDER BY k.deletion_at LIMIT ${MOST} FOR UPDATE OF k SKIP LOCKED
      $$;

      CREATE FUNCTION keyward.receipts_owed(of_tenant text, of_key text)
      RETURNS TABLE (${TOMBSTONE_COLUMNS}, seq bigint, origin text, root integer, root_ended_at timestamptz)
      LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
        SELECT ${TOMBSTONE}, t.seq, l.origin, coalesce(r.root, 0), r.ended_at
          FROM keyward.key_tombstone t
          JOIN keyward.cmk k USING (tenant_id, key_id)
          JOIN keyward.log l USING (tenant_id)
          LEFT JOIN keyward.tenant_root r ON r.tenant_id = t.tenant_id AND r.ended_at IS NOT NULL
          WHERE (t.receipt IS NULL OR t.signed_under < r.root)
            AND ${wanted('sign-receipt', 't.tenant_id', 't.key_id')} AND (of_key = t.key_id OR of_key IS NULL)
          ORDER BY t.tenant_id, t.key_id LIMIT ${MOST}
      $$;

      CREATE FUNCTION keyward.rotating_roots(of_tenant text) RETURNS TABLE (tenant_id text, root integer, rewrapped boolean, log_id text)
      LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
        SELECT r.tenant_id, r.root, r.rewrapped, l.log_id FROM keyward.tenant_root r JOIN keyward.log l USING (tenant_id)
          WHERE r.ended_at IS NULL AND ${wanted('rotate-root', 'r.tenant_id', "'root'")} ORDER BY r.started_at LIMIT ${MOST}
      $$;

      CREATE FUNCTION keyward.log_keys_due(of_tenant text)
      RETURNS TABLE (tenant_id text, log_id text, number integer, vkey text, retired boolean, epoch uuid, platform_epoch uuid)
      LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$${keysDue(` AND ${wanted('end-log-key', 'k.tenant_id', "'log'")}`, MOST)}
      $$;
      ${ownedByFunctions(...FUNCTIONS)}
      ${FUNCTIONS.map((signature) => mayExecute(signature, 'keyward_worker')).join('')}
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`DROP FUNCTION ${FUNCTIONS.map((signature) => `keyward.${signature}`).join(', ')}`);
  }
}
