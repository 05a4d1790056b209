import type { MigrationInterface, QueryRunner } from 'typeorm';
import { KEY_LIFE } from './0030-key-life.js';
import { PUBLIC_KEY } from './0035-key-pairs.js';
import { IMPORTED } from './0058-key-import.js';
import { keyOf } from './key-of.js';
import { mayAppend, mayNotAppend } from './plane-operations.js';
import { mayExecute, tenantRows, withTriggerFunction } from './row-security.js';

const OPERATIONS = ['PutKeyRotation', 'GetKeyRotation'];
export const VERSION = PUBLIC_KEY + IMPORTED;
export const ROTATION = `
        'rotation', (
          SELECT json_build_object('version', r.version, 'intervalDays', r.interval_days, 'mac', encode(r.mac, 'hex'))
            FROM keyward.key_rotation r WHERE r.tenant_id = wanted AND r.key_id = k.key_id),`;
/** As migration 0060 left it. */
const KEPT = mayExecute('key_of(text, text, text)', 'keyward_worker');

/** How often a key is rotated automatically: the rule by which the worker may make its next version. */
export class KeyRotation implements MigrationInterface {
  readonly name = 'KeyRotation0000000000085';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE keyward.key_rotation (
        tenant_id text NOT NULL,
        key_id text NOT NULL,
        version integer NOT NULL CHECK (version > 0),
        -- NULL: it is not rotated.
        interval_days integer CHECK (interval_days BETWEEN 7 AND 730),
        -- By the birth of the version that is primary; says where to look, and is no authority.
        next_at timestamptz CHECK ((next_at IS NULL) = (interval_days IS NULL)),
        mac bytea NOT NULL CHECK (length(mac) = 32),
        PRIMARY KEY (tenant_id, key_id),
        FOREIGN KEY (tenant_id, key_id) REFERENCES keyward.cmk
      );
      ${tenantRows('key_rotation')}
      -- Whose keys are due; which of a tenant's.
      CREATE INDEX key_rotation_due ON keyward.key_rotation (next_at, tenant_id) WHERE next_at IS NOT NULL;
      CREATE INDEX key_rotation_due_of ON keyward.key_rotation (tenant_id, next_at) WHERE next_at IS NOT NULL;
      GRANT SELECT, INSERT, UPDATE (version, interval_days, next_at, mac) ON keyward.key_rotation TO keyward_key_plane;
      GRANT SELECT ON keyward.key_rotation TO keyward_functions;
      ${withTriggerFunction(
        'move_epoch()',
        `CREATE CONSTRAINT TRIGGER moves_epoch AFTER INSERT OR UPDATE OF version, interval_days, mac OR DELETE ON keyward.key_rotation
        DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION keyward.move_epoch();`,
      )}
      CREATE TRIGGER never_emptied BEFORE TRUNCATE ON keyward.key_rotation FOR EACH STATEMENT EXECUTE FUNCTION keyward.refuse_change();
      ${mayAppend('keyward_key_plane', OPERATIONS)}
      ${keyOf({ key: KEY_LIFE + ROTATION, version: VERSION })}
      ${KEPT}
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
      ${keyOf({ key: KEY_LIFE, version: VERSION })}
      ${KEPT}
      ${mayNotAppend(OPERATIONS)}
      DROP TABLE keyward.key_rotation;
    `);
  }
}
