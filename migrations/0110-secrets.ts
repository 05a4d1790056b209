import type { MigrationInterface, QueryRunner } from 'typeorm';
import { commitSignature } from './0009-trail-commit.js';
import { mayAppend } from './plane-operations.js';
import { mayExecute, ownedByFunctions, tenantRows, withTriggerFunction } from './row-security.js';

const USES = ['GetSecretValue', 'PutSecretValue', 'DescribeSecret', 'GetRandomPassword'];
const ADMINS = [
  ...['CreateSecret', 'ListSecrets', 'ListSecretVersions', 'UpdateSecret', 'UpdateSecretVersionLabels', 'DeleteSecret', 'RestoreSecret'],
  ...['UpdateSecretRotationPolicy', 'RotateSecret'],
];
const OF_THE_WORKER = ['PurgeSecret'];

export const OF = 'secret_of(text, text, text, text)';
const PUT = 'put_secret_version(text, text, bigint, json, bytea, text, text, timestamptz, text, bytea, bytea, text)';

const version = (more: string) =>
  `json_build_object('versionId', v.version_id, 'format', v.format, 'createdAt', v.created_at, 'keyVersionId', v.key_version${more})`;

/** `more`: of secret `s`, what later migrations add to it. */
export const secretOf = (more = ''): string => `
      -- By name or id, with one version where one is asked for: ONE statement, as all that decisions are read by (0007).
      CREATE FUNCTION keyward.secret_of(wanted text, reference text, of_version text, of_label text) RETURNS json
      LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
        SELECT json_build_object('epoch', h.epoch,
          'secret', (
            SELECT json_build_object('secretId', s.secret_id, 'name', s.name, 'type', s.type, 'keyId', s.key_id, 'description', s.description,
                'tags', s.tags, 'createdAt', s.created_at, 'deletionAt', s.deletion_at, 'rotation', s.rotation,
                'rotationState', s.rotation_state, 'nextRotationAt', s.next_rotation_at, 'mac', encode(s.mac, 'hex'),
                'labels', s.labels, 'revision', s.revision, 'labelsMac', encode(s.labels_mac, 'hex')${more},
                'versions', (
                  SELECT coalesce(json_agg(${version('')} ORDER BY v.created_at, v.version_id), '[]')
                    FROM keyward.secret_version v WHERE v.tenant_id = wanted AND v.secret_id = s.secret_id))
              FROM keyward.secret s WHERE s.tenant_id = wanted AND reference IN (s.secret_id, s.name)),
          'version', (
            SELECT ${version(`, 'edk', encode(v.edk, 'hex'), 'sealed', encode(v.sealed, 'hex')`)}
              FROM keyward.secret s JOIN keyward.secret_version v USING (tenant_id, secret_id)
              WHERE s.tenant_id = wanted AND reference IN (s.secret_id, s.name)
                AND v.version_id = coalesce(of_version, s.labels ->> of_label)))
          FROM keyward.tenant_head h WHERE h.tenant_id = wanted
      $$;`;

/** Secrets: what they are, which of their versions is which, and their values, each sealed under a data key of its own. */
export class Secrets implements MigrationInterface {
  readonly name = 'Secrets0000000000110';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      ${mayAppend('keyward_key_plane', [...USES, ...ADMINS])}
      ${mayAppend('keyward_data_plane', USES)}
      ${mayAppend('keyward_worker', OF_THE_WORKER)}

      CREATE TABLE keyward.secret (
        tenant_id text NOT NULL REFERENCES keyward.tenant,
        secret_id text NOT NULL,
        name text NOT NULL,
        type text NOT NULL,
        key_id text NOT NULL,
        description text NOT NULL,
        tags json NOT NULL DEFAULT '{}',
        created_at timestamptz NOT NULL,
        -- When it is purged; until then it can be restored.
        deletion_at timestamptz,
        rotation json,
        rotation_state text NOT NULL DEFAULT 'Idle' CHECK (rotation_state IN ('Idle', 'Due', 'Running', 'Invalid')),
        next_rotation_at timestamptz,
        -- Over name, type, key, tags and rotation (core/bound-rows.ts).
        mac bytea NOT NULL CHECK (length(mac) = 32),
        labels json NOT NULL,
        revision bigint NOT NULL CHECK (revision >= 0),
        -- Over labels and revision.
        labels_mac bytea NOT NULL CHECK (length(labels_mac) = 32),
        PRIMARY KEY (tenant_id, secret_id),
        UNIQUE (tenant_id, name),
        FOREIGN KEY (tenant_id, key_id) REFERENCES keyward.cmk
      );
      ${tenantRows('secret')}
      CREATE INDEX secret_deletion ON keyward.secret (deletion_at) WHERE deletion_at IS NOT NULL;
      CREATE INDEX secret_rotation ON keyward.secret (next_rotation_at) WHERE next_rotation_at IS NOT NULL;

      CREATE TABLE keyward.secret_version (
        tenant_id text NOT NULL,
        secret_id text NOT NULL,
        version_id text NOT NULL,
        format text NOT NULL CHECK (format IN ('text', 'binary')),
        created_at timestamptz NOT NULL,
        key_version text NOT NULL,
        -- The data key, sealed under the key version, and the value under the data key.
        edk bytea NOT NULL,
        sealed bytea NOT NULL,
        PRIMARY KEY (tenant_id, secret_id, version_id),
        FOREIGN KEY (tenant_id, secret_id) REFERENCES keyward.secret ON DELETE CASCADE
      );
      ${tenantRows('secret_version')}
      CREATE INDEX secret_version_of_key ON keyward.secret_version (tenant_id, key_version);

      -- Which version is current is no rule; all else that changes of a secret can turn a yes into a no.
      ${withTriggerFunction(
        'move_epoch()',
        `CREATE CONSTRAINT TRIGGER moves_epoch AFTER UPDATE ON keyward.secret DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
          WHEN ((OLD.secret_id, OLD.name, OLD.type, OLD.key_id, OLD.tags::text, OLD.deletion_at, OLD.rotation::text, OLD.mac)
            IS DISTINCT FROM (NEW.secret_id, NEW.name, NEW.type, NEW.key_id, NEW.tags::text, NEW.deletion_at, NEW.rotation::text, NEW.mac))
          EXECUTE FUNCTION keyward.move_epoch();
        CREATE CONSTRAINT TRIGGER moves_epoch_at_end AFTER DELETE ON keyward.secret
          DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION keyward.move_epoch();`,
      )}
      CREATE TRIGGER never_emptied BEFORE TRUNCATE ON keyward.secret FOR EACH STATEMENT EXECUTE FUNCTION keyward.refuse_change();

      GRANT SELECT, INSERT, DELETE, UPDATE (description, tags, deletion_at, rotation, rotation_state, next_rotation_at, mac)
        ON keyward.secret TO keyward_key_plane;
      GRANT SELECT, UPDATE (labels, labels_mac, revision) ON keyward.secret TO keyward_functions;
      GRANT SELECT, INSERT, DELETE ON keyward.secret_version TO keyward_functions;

      ${secretOf()}

      -- Labels as of the next revision, with a version that came and one that went. Raises KW001 when others came first.
      CREATE FUNCTION keyward.put_secret_version(
        wanted text, of_secret text, read_revision bigint, new_labels json, new_labels_mac bytea,
        new_version text, new_format text, new_created_at timestamptz, new_key_version text, new_edk bytea, new_sealed bytea, dropped text
      ) RETURNS void LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
      BEGIN
        UPDATE keyward.secret s SET labels = new_labels, labels_mac = new_labels_mac, revision = read_revision + 1
          WHERE s.tenant_id = wanted AND s.secret_id = of_secret AND s.revision = read_revision AND s.deletion_at IS NULL;
        IF NOT FOUND THEN
          RAISE EXCEPTION 'labels have moved' USING ERRCODE = 'KW001';
        END IF;
        DELETE FROM keyward.secret_version v WHERE v.tenant_id = wanted AND v.secret_id = of_secret AND v.version_id = dropped;
        IF new_version IS NOT NULL THEN
          INSERT INTO keyward.secret_version (tenant_id, secret_id, version_id, format, created_at, key_version, edk, sealed)
            VALUES (wanted, of_secret, new_version, new_format, new_created_at, new_key_version, new_edk, new_sealed);
        END IF;
      END $$;
      ${ownedByFunctions(OF, PUT)}
      ${mayExecute(OF, 'keyward_key_plane', 'keyward_data_plane')}
      ${mayExecute(PUT, 'keyward_key_plane', 'keyward_data_plane')}
      ${mayExecute(commitSignature(true), 'keyward_data_plane')}
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    const operations = [...USES, ...ADMINS, ...OF_THE_WORKER].map((operation) => `'${operation}'`).join(', ');
    await runner.query(`
      SET LOCAL ROLE keyward_functions;
      REVOKE EXECUTE ON FUNCTION keyward.${commitSignature(true)} FROM keyward_data_plane;
      SET LOCAL ROLE keyward_owner;
      DROP FUNCTION keyward.${OF}, keyward.${PUT};
      DROP TABLE keyward.secret_version, keyward.secret;
      DELETE FROM keyward.plane_operation WHERE op IN (${operations});
    `);
  }
}
