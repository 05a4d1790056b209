import type { MigrationInterface, QueryRunner } from 'typeorm';
import { KEY_LIFE } from './0030-key-life.js';
import { PUBLIC_KEY } from './0035-key-pairs.js';
import { keyOf } from './key-of.js';
import { mayAppend, mayNotAppend } from './plane-operations.js';
import { tenantRows } from './row-security.js';

const OPERATIONS = ['GetImportParameters', 'ImportKeyMaterial', 'DeleteImportedKeyMaterial'];
export const IMPORTED = `
            'imported', CASE WHEN v.import_check IS NOT NULL THEN json_build_object(
              'check', encode(v.import_check, 'hex'), 'validTo', v.valid_to, 'inMemory', v.in_memory) END,`;

/** Key material from outside: what a version remembers of it, and the tokens under which it comes. */
export class KeyImport implements MigrationInterface {
  readonly name = 'KeyImport0000000000058';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      ALTER TABLE keyward.key_version
        ADD import_check bytea,
        ADD valid_to bigint,
        ADD in_memory boolean,
        ADD CONSTRAINT imported CHECK (origin = 'EXTERNAL' OR import_check IS NULL);
      GRANT UPDATE (blob, public_key, mac, protection_level, import_check, valid_to, in_memory) ON keyward.key_version TO keyward_key_plane;

      CREATE TABLE keyward.key_import (
        tenant_id text NOT NULL,
        import_token text NOT NULL,
        key_id text NOT NULL,
        version_id text NOT NULL,
        spec text NOT NULL,
        usage text NOT NULL,
        log_id text NOT NULL,
        algorithm text NOT NULL,
        expires_at timestamptz NOT NULL,
        blob bytea NOT NULL,
        mac bytea NOT NULL CHECK (length(mac) = 32),
        used_at timestamptz,
        PRIMARY KEY (tenant_id, import_token),
        FOREIGN KEY (tenant_id, key_id) REFERENCES keyward.cmk
      );
      ${tenantRows('key_import')}
      GRANT SELECT, INSERT, UPDATE (used_at, blob) ON keyward.key_import TO keyward_key_plane;
      ${mayAppend('keyward_key_plane', OPERATIONS)}
      ${keyOf({ key: KEY_LIFE, version: PUBLIC_KEY + IMPORTED })}
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
      ${keyOf({ key: KEY_LIFE, version: PUBLIC_KEY })}
      ${mayNotAppend(OPERATIONS)}
      DROP TABLE keyward.key_import;
      REVOKE UPDATE (public_key, protection_level) ON keyward.key_version FROM keyward_key_plane;
      ALTER TABLE keyward.key_version DROP import_check, DROP valid_to, DROP in_memory;
    `);
  }
}
