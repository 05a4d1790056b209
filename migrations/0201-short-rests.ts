import type { MigrationInterface, QueryRunner } from 'typeorm';
import { asFunctions } from './row-security.js';

/** `longest`: a time further off was written by a clock that has been set back since. */
const rests = (longest: string): string =>
  asFunctions(`
      CREATE OR REPLACE FUNCTION keyward.job_rests(of_kind text, of_tenant text, of_subject text) RETURNS boolean
      LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
        SELECT EXISTS (SELECT FROM keyward.job_failure f WHERE f.tenant_id = of_tenant AND f.kind = of_kind AND f.subject = of_subject
          AND f.next_attempt_at > clock_timestamp() AND f.next_attempt_at < clock_timestamp() + interval '${longest}')
      $$;`);

/** After a clock that was ahead by hours, and was set right, what failed meanwhile rested for these hours. Twice the longest pause is enough. */
export class ShortRests implements MigrationInterface {
  readonly name = 'ShortRests0000000000201';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(rests('10 minutes'));
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(rests('1 day'));
  }
}
