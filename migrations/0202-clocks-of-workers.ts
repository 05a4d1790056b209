import type { MigrationInterface, QueryRunner } from 'typeorm';

const LOOK = 'keyward_queue.looks_for_stalled()';
/** Twice as long as a worker's lock lasts (apps/worker/jobs/engine.ts). */
const LONGEST_LOCK_MS = 20_000;

/**
 * BullMQ writes times by its workers' clocks. One that was a day ahead left a lock that nobody could take over for a day when it died; and by
 * the time at which it had looked for such locks last nobody else looked for them for a day. So that time is not kept: each worker looks at
 * its own rhythm; and a lock that is further ahead than any lasts, of the database's clock and of the looker's, is none.
 */
export class ClocksOfWorkers implements MigrationInterface {
  readonly name = 'ClocksOfWorkers0000000000202';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE FUNCTION ${LOOK} RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
      BEGIN
        UPDATE keyward_queue.job SET locked_until_ms = 0 WHERE queue = NEW.queue AND state = 'active'
          AND locked_until_ms > greatest(NEW.value::bigint, (1000 * extract(epoch FROM clock_timestamp()))::bigint) + ${LONGEST_LOCK_MS};
        RETURN NULL;
      END $$;
      REVOKE ALL ON FUNCTION ${LOOK} FROM PUBLIC;
      DELETE FROM keyward_queue.meta WHERE field = 'stalled-check';
      CREATE TRIGGER looks_for_stalled BEFORE INSERT ON keyward_queue.meta FOR EACH ROW
        WHEN (NEW.field = 'stalled-check') EXECUTE FUNCTION ${LOOK};
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
      DROP TRIGGER looks_for_stalled ON keyward_queue.meta;
      DROP FUNCTION ${LOOK};
    `);
  }
}
