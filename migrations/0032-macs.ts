import type { MigrationInterface, QueryRunner } from 'typeorm';
import { mayAppend, mayNotAppend } from './plane-operations.js';

const OPERATIONS = ['GenerateMac', 'VerifyMac'];

/** Keys that make and check MACs. */
export class Macs implements MigrationInterface {
  readonly name = 'Macs0000000000032';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(mayAppend('keyward_data_plane', OPERATIONS));
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(mayNotAppend(OPERATIONS));
  }
}
