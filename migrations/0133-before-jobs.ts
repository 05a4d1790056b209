import type { MigrationInterface, QueryRunner } from 'typeorm';
import { logKeysDue } from './0052-log-keys.js';
import { dueDeletions, OWED } from './0060-key-destruction.js';
import { receiptsOwedUnderRoots, rotatingRoots } from './0061-root-rotation.js';
import { mayExecute, ownedByFunctions } from './row-security.js';

const FUNCTIONS = ['log_keys_due()', 'due_deletions()', OWED, 'rotating_roots()'];

/** What was due was asked without parameters before there were jobs; a function that nobody calls is one that somebody may call. */
export class BeforeJobs implements MigrationInterface {
  readonly name = 'BeforeJobs0000000000133';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`DROP FUNCTION ${FUNCTIONS.map((signature) => `keyward.${signature}`).join(', ')}`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
      ${logKeysDue}
      ${dueDeletions}
      ${rotatingRoots}
      ${receiptsOwedUnderRoots}
      ${ownedByFunctions(...FUNCTIONS)}
      ${FUNCTIONS.map((signature) => mayExecute(signature, 'keyward_worker')).join('')}
    `);
  }
}
