import { createHash } from 'node:crypto';
import { runMigrations } from 'bullmq/dist/cjs/postgres/migrator.js';
import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Of BullMQ's tables and functions (apps/worker/jobs/engine.ts). Jobs are triggers: whoever empties this schema loses nothing. */
const QUEUE = 'keyward_queue';

/**
 * The queue's own schema, as the installed BullMQ makes it (docs/adr/0011). The worker uses it and makes nothing in it; a BullMQ that needs
 * another one comes with a migration that does the same again.
 */
export class Queue implements MigrationInterface {
  readonly name = 'Queue0000000000080';
  /** BullMQ commits by itself; what follows may be done again. */
  readonly transaction = false;

  async up(runner: QueryRunner): Promise<void> {
    const query = async (sql: string, values?: unknown[]) => ({ rows: (await runner.query(sql, values, true)).records as never[] });
    await runMigrations({ query }, QUEUE);
    await runner.query(`
      -- BullMQ would make it with its queue's first job: the worker may not.
      CREATE SEQUENCE IF NOT EXISTS ${QUEUE}.bullmq_jid_${createHash('md5').update('due').digest('hex')};
      REVOKE ALL ON ALL FUNCTIONS IN SCHEMA ${QUEUE} FROM PUBLIC;
      GRANT USAGE ON SCHEMA ${QUEUE} TO keyward_worker;
      GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA ${QUEUE} TO keyward_worker;
      GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA ${QUEUE} TO keyward_worker;
      GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA ${QUEUE} TO keyward_worker;
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`DROP SCHEMA ${QUEUE} CASCADE`);
  }
}
