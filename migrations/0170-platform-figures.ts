import type { MigrationInterface, QueryRunner } from 'typeorm';
import { mayExecute, ownedByFunctions } from './row-security.js';

const FIGURES = 'platform_figures()';

/** What an operator's monitoring asks of the platform as a whole; of no tenant. */
export class PlatformFigures implements MigrationInterface {
  readonly name = 'PlatformFigures0000000000170';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE FUNCTION keyward.${FIGURES} RETURNS json LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
        WITH behind AS (
          SELECT h.tenant_id, h.size, coalesce(c.size, 0) AS signed
            FROM keyward.tenant_head h LEFT JOIN keyward.trail_checkpoint c USING (tenant_id) WHERE h.size > coalesce(c.size, 0))
        SELECT json_build_object(
          'now', extract(epoch FROM clock_timestamp()),
          'records', (SELECT coalesce(sum(h.size), 0) FROM keyward.tenant_head h),
          'unsigned', (SELECT coalesce(sum(b.size - b.signed), 0) FROM behind b),
          'unsignedSeconds', (SELECT coalesce(max(extract(epoch FROM clock_timestamp() - r.recorded_at)), 0)
            FROM behind b JOIN keyward.trail_record r ON r.tenant_id = b.tenant_id AND r.seq = b.signed),
          'failingJobs', (SELECT count(*) FROM keyward.job_failure),
          -- Of the kind that has waited longest to be looked at.
          'overdueSeconds', (SELECT coalesce(max(extract(epoch FROM clock_timestamp() - k.next_at)), 0)
            FROM keyward.job_kind k WHERE k.next_at > '-infinity' AND k.next_at < clock_timestamp()),
          'undelivered', (SELECT coalesce(sum(greatest(c.size - s.next_seq, 0)), 0)
            FROM keyward.sink s JOIN keyward.trail_checkpoint c USING (tenant_id) WHERE s.state = 'Active'))
      $$;
      ${ownedByFunctions(FIGURES)}
      ${mayExecute(FIGURES, 'keyward_worker')}
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`DROP FUNCTION keyward.${FIGURES}`);
  }
}
