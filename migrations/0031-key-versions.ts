import type { MigrationInterface, QueryRunner } from 'typeorm';
import { mayAppend, mayNotAppend } from './plane-operations.js';

const OPERATIONS = ['CreateKeyVersion', 'ListKeyVersions'];

/** A key gets new versions: its primary one moves. */
export class KeyVersions implements MigrationInterface {
  readonly name = 'KeyVersions0000000000031';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      GRANT UPDATE (primary_version) ON keyward.cmk TO keyward_key_plane;
      ${mayAppend('keyward_key_plane', OPERATIONS)}
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
      ${mayNotAppend(OPERATIONS)}
      REVOKE UPDATE (primary_version) ON keyward.cmk FROM keyward_key_plane;
    `);
  }
}
