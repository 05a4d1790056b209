import type { MigrationInterface, QueryRunner } from 'typeorm';
import { jobRests } from './0081-jobs.js';
import { replaced } from './row-security.js';

/** After a clock that was ahead by hours, and was set right, what failed meanwhile rested for these hours. Twice the longest pause is enough. */
export class ShortRests implements MigrationInterface {
  readonly name = 'ShortRests0000000000201';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(replaced(jobRests('10 minutes')));
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(replaced(jobRests()));
  }
}
