import type { MigrationInterface, QueryRunner } from 'typeorm';
import { mayExecute } from './row-security.js';

const HASHES = 'tile_hashes_of(text, integer, bigint, integer)';

/** The key plane compares a log with what was signed of it: by the hashes of its records, which tell nothing of what they say. */
export class ForkedTrails implements MigrationInterface {
  readonly name = 'ForkedTrails0000000000091';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(mayExecute(HASHES, 'keyward_key_plane'));
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
      SET LOCAL ROLE keyward_functions;
      REVOKE EXECUTE ON FUNCTION keyward.${HASHES} FROM keyward_key_plane;
      SET LOCAL ROLE keyward_owner;
    `);
  }
}
