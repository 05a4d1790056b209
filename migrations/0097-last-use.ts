import type { MigrationInterface, QueryRunner } from 'typeorm';
import { ledger } from './0044-key-uses.js';
import { mayExecute, ownedByFunctions } from './row-security.js';

const LAST = 'last_use(text, text)';

/** The last of a key's uses that succeeded, by the ledger and what comes after it: what DescribeKey tells, without the rest of its usage. */
export class LastUse implements MigrationInterface {
  readonly name = 'LastUse0000000000097';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE FUNCTION keyward.last_use(wanted text, of_key text) RETURNS json
      LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
        ${ledger("u.key_id = of_key AND u.outcome = 'succeeded'", "r.key_id = of_key AND r.outcome = 'succeeded'")}
        SELECT json_build_object('at', l.last_at, 'operation', l.op, 'service', l.principal)
          FROM ledger l ORDER BY l.last_at DESC, l.principal DESC, l.op DESC LIMIT 1
      $$;
      ${ownedByFunctions(LAST)}
      ${mayExecute(LAST, 'keyward_key_plane')}
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`DROP FUNCTION keyward.${LAST}`);
  }
}
