import type { MigrationInterface, QueryRunner } from 'typeorm';
import { mayAppend, mayNotAppend } from './plane-operations.js';

const OPERATIONS = ['DescribeCapabilities'];

/** Admins may ask what the HSM can do. */
export class Capabilities implements MigrationInterface {
  readonly name = 'Capabilities0000000000033';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(mayAppend('keyward_key_plane', OPERATIONS));
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(mayNotAppend(OPERATIONS));
  }
}
