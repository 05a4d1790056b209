import type { MigrationInterface, QueryRunner } from 'typeorm';
import { mayAppend, mayNotAppend } from './plane-operations.js';

const OPERATIONS = ['GetCompletionCertificate', 'ListVersionReferences', 'RetireKeyVersion'];

/** A version of a key goes, and what became of a re-wrap is certified. */
export class VersionEnd implements MigrationInterface {
  readonly name = 'VersionEnd0000000000101';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(mayAppend('keyward_key_plane', OPERATIONS));
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(mayNotAppend(OPERATIONS));
  }
}
