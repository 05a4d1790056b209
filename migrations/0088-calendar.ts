import type { MigrationInterface, QueryRunner } from 'typeorm';
import { mayAppend, mayNotAppend } from './plane-operations.js';

const OPERATIONS = ['ListCalendar'];

/** That admins read what comes by the clock is recorded like every read. */
export class Calendar implements MigrationInterface {
  readonly name = 'Calendar0000000000088';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(mayAppend('keyward_key_plane', OPERATIONS));
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(mayNotAppend(OPERATIONS));
  }
}
