import type { MigrationInterface, QueryRunner } from 'typeorm';
import { mayAppend, mayNotAppend } from './plane-operations.js';

const OPERATIONS = ['AsymmetricEncrypt', 'AsymmetricDecrypt'];

/** Services encrypt to RSA keys, and have them decrypt. */
export class AsymmetricUses implements MigrationInterface {
  readonly name = 'AsymmetricUses0000000000056';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(mayAppend('keyward_data_plane', OPERATIONS));
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(mayNotAppend(OPERATIONS));
  }
}
