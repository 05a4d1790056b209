import type { MigrationInterface, QueryRunner } from 'typeorm';
import { mayAppend, mayNotAppend } from './plane-operations.js';

const OPERATIONS = ['ReEncryptFrom', 'ReEncryptTo'];

/** From one key to another: a record of each. */
export class ReEncryption implements MigrationInterface {
  readonly name = 'ReEncryption0000000000034';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(mayAppend('keyward_data_plane', OPERATIONS));
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(mayNotAppend(OPERATIONS));
  }
}
