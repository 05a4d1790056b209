import type { MigrationInterface, QueryRunner } from 'typeorm';
import { mayAppend, mayNotAppend } from './plane-operations.js';

const OPERATIONS = ['GenerateRandom'];

/** Services are given random bytes: a use without a key. */
export class RandomBytes implements MigrationInterface {
  readonly name = 'RandomBytes0000000000057';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(mayAppend('keyward_data_plane', OPERATIONS));
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(mayNotAppend(OPERATIONS));
  }
}
