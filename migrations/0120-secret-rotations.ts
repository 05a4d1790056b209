import type { MigrationInterface, QueryRunner } from 'typeorm';
import { MOST, wanted } from './0082-due-rows.js';
import { OF as SECRET_OF, secretOf } from './0110-secrets.js';
import { mayAppend } from './plane-operations.js';
import { mayExecute, ownedByFunctions, replaced, tenantRows } from './row-security.js';

/** Of the worker's own. */
const OPERATIONS = ['StartSecretRotation', 'PromoteSecretVersion', 'EndSecretRotation', 'SecretRotationInvalid'];
/** Which it does for a rotation, as services and admins do for themselves. */
const SHARED = ['GetSecretValue', 'PutSecretValue'];

const DUE = 'due_secret_rotations(text, text)';
const CLAIM = 'claim_secret_rotation(text, text, interval)';
const ADVANCE = 'advance_secret_rotation(text, text, bigint, json, json, bytea, uuid, uuid)';
const RELEASE = 'release_secret_rotation(text, text, bigint)';
const ROTATING = `, 'rotating', (
                  SELECT json_build_object('phase', r.phase, 'failures', r.failures, 'lastError', r.last_error, 'nextStepAt', r.next_at)
                    FROM keyward.rotating_secret r WHERE r.tenant_id = wanted AND r.secret_id = s.secret_id),
                'connects', EXISTS (
                  SELECT FROM keyward.secret other WHERE other.tenant_id = wanted AND other.rotation ->> 'connectionSecret' = s.secret_id)`;

/** At a time: however many secrets of one tenant are due, nobody else's wait behind them. */
const OF_A_TENANT = 4;

/** Of secret `s` and its rotation `r`: not begun and wanted, or under way; and nobody has it. */
const IS_DUE = `s.deletion_at IS NULL AND s.rotation IS NOT NULL
            AND (s.rotation_state = 'Running' OR s.rotation_state IN ('Idle', 'Due') AND s.next_rotation_at <= clock_timestamp())
            AND (r.next_at IS NULL OR r.next_at <= clock_timestamp())`;

/** Where each rotation of a secret stands, and how the worker takes it further. */
export class SecretRotations implements MigrationInterface {
  readonly name = 'SecretRotations0000000000120';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE keyward.rotating_secret (
        tenant_id text NOT NULL,
        secret_id text NOT NULL,
        phase text NOT NULL DEFAULT 'Idle',
        -- The version that it makes, and the one that was current when it began. No authority: what is pending and what is current say the
        -- secret's labels, which are bound.
        version_id text,
        from_version text,
        failures integer NOT NULL DEFAULT 0 CHECK (failures >= 0),
        last_error text,
        -- One more with every claim and every step: whoever read an older one changes nothing.
        revision bigint NOT NULL DEFAULT 0,
        -- When its next step is due; while a worker has it, when its lease is over.
        next_at timestamptz,
        PRIMARY KEY (tenant_id, secret_id),
        FOREIGN KEY (tenant_id, secret_id) REFERENCES keyward.secret ON DELETE CASCADE
      );
      ${tenantRows('rotating_secret')}
      GRANT SELECT, INSERT, UPDATE ON keyward.rotating_secret TO keyward_functions;
      GRANT UPDATE (rotation_state, next_rotation_at) ON keyward.secret TO keyward_functions;
      CREATE INDEX rotating_secret_of ON keyward.secret (tenant_id) WHERE rotation_state = 'Running';
      ${mayAppend('keyward_worker', [...OPERATIONS, ...SHARED])}

      -- Where to look; what may be done is decided by the rules, bound as they are. Left out is what no rule lets through now.
      CREATE FUNCTION keyward.due_secret_rotations(of_tenant text, of_secret text) RETURNS TABLE (tenant_id text, secret_id text)
      LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
        SELECT d.tenant_id, d.secret_id
          FROM (
            SELECT a.tenant_id FROM keyward.secret a
              WHERE (a.rotation_state = 'Running' OR a.next_rotation_at <= clock_timestamp()) AND (of_tenant = a.tenant_id OR of_tenant IS NULL)
              GROUP BY a.tenant_id) t, LATERAL (
            SELECT s.tenant_id, s.secret_id, coalesce(r.next_at, s.next_rotation_at) AS due
              FROM keyward.secret s LEFT JOIN keyward.rotating_secret r USING (tenant_id, secret_id)
              WHERE s.tenant_id = t.tenant_id AND ${IS_DUE}
                AND ${wanted('rotate-secret', 's.tenant_id', 's.secret_id')} AND (of_secret = s.secret_id OR of_secret IS NULL)
                AND NOT EXISTS (
                  SELECT FROM keyward.stop x WHERE x.tenant_id = s.tenant_id AND x.lifted_at IS NULL
                    AND (x.target ->> 'scope' = 'everything' OR x.target ->> 'keyId' = s.key_id))
                AND NOT EXISTS (
                  SELECT FROM keyward.tenant_suspension x WHERE x.tenant_id = 'platform' AND x.suspended_tenant = s.tenant_id)
              ORDER BY due LIMIT ${OF_A_TENANT}) d
          ORDER BY d.due LIMIT ${MOST}
      $$;

      -- Nobody else has it until the lease is over. NULL: it is not due, or not any more.
      CREATE FUNCTION keyward.claim_secret_rotation(of_tenant text, of_secret text, lease interval) RETURNS json
      LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
      DECLARE
        answer json;
      BEGIN
        INSERT INTO keyward.rotating_secret AS r (tenant_id, secret_id)
          SELECT s.tenant_id, s.secret_id FROM keyward.secret s WHERE s.tenant_id = of_tenant AND s.secret_id = of_secret
          ON CONFLICT DO NOTHING;
        UPDATE keyward.rotating_secret r SET revision = r.revision + 1, next_at = clock_timestamp() + lease
          FROM keyward.secret s
          WHERE r.tenant_id = of_tenant AND r.secret_id = of_secret AND s.tenant_id = of_tenant AND s.secret_id = of_secret AND ${IS_DUE}
          RETURNING json_build_object('phase', CASE s.rotation_state WHEN 'Running' THEN r.phase ELSE 'Idle' END,
            'versionId', r.version_id, 'fromVersion', r.from_version, 'failures', r.failures, 'lastError', r.last_error,
            'revision', r.revision, 'at', clock_timestamp()) INTO answer;
        RETURN answer;
      END $$;

      -- For whoever has it and cannot go on: another may try.
      CREATE FUNCTION keyward.release_secret_rotation(of_tenant text, of_secret text, seen bigint) RETURNS void
      LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
        UPDATE keyward.rotating_secret r SET next_at = clock_timestamp()
          WHERE r.tenant_id = of_tenant AND r.secret_id = of_secret AND r.revision = seen
      $$;

      -- One step: where it stands, the labels that move with it, and the record, in one transaction. False: somebody else went on with it.
      -- Raises KW001 when a rule, or a label, came in between.
      CREATE FUNCTION keyward.advance_secret_rotation(
        of_tenant text, of_secret text, seen bigint, step json, labelled json, body bytea, epoch uuid, platform_epoch uuid
      ) RETURNS boolean LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
      DECLARE
        answer bigint;
        added json := labelled -> 'added';
        running boolean := step ->> 'phase' NOT IN ('Idle', 'Invalid');
      BEGIN
        UPDATE keyward.rotating_secret r
          SET phase = step ->> 'phase', version_id = step ->> 'versionId', from_version = step ->> 'fromVersion',
              failures = (step ->> 'failures')::integer, last_error = step ->> 'lastError', revision = seen + 1,
              next_at = CASE WHEN running THEN clock_timestamp() + (step ->> 'wait')::interval END
          WHERE r.tenant_id = of_tenant AND r.secret_id = of_secret AND r.revision = seen;
        IF NOT FOUND THEN
          RETURN false;
        END IF;
        UPDATE keyward.secret s
          SET rotation_state = CASE WHEN running THEN 'Running' ELSE step ->> 'phase' END,
              next_rotation_at = CASE WHEN step ->> 'phase' = 'Idle'
                THEN clock_timestamp() + make_interval(hours => (s.rotation ->> 'intervalHours')::integer) END
          WHERE s.tenant_id = of_tenant AND s.secret_id = of_secret AND s.deletion_at IS NULL;
        IF NOT FOUND THEN
          RAISE EXCEPTION 'no such secret' USING ERRCODE = 'KW001';
        END IF;
        IF labelled IS NOT NULL THEN
          PERFORM keyward.put_secret_version(of_tenant, of_secret, (labelled ->> 'revision')::bigint, labelled -> 'labels',
            decode(labelled ->> 'labelsMac', 'hex'), added ->> 'versionId', added ->> 'format', (added ->> 'createdAt')::timestamptz,
            added ->> 'keyVersionId', decode(added ->> 'edk', 'hex'), decode(added ->> 'sealed', 'hex'), labelled ->> 'dropped');
        END IF;
        IF body IS NOT NULL THEN
          answer := (keyward.trail_append(body, ARRAY[length(body)], ARRAY[of_tenant], ARRAY[epoch], ARRAY[platform_epoch], ARRAY[NULL::timestamptz]))[1];
          IF (answer >= 0) IS NOT TRUE THEN
            RAISE EXCEPTION 'not recorded: %', answer USING ERRCODE = 'KW001';
          END IF;
        END IF;
        RETURN true;
      END $$;
      ${replaced(secretOf(ROTATING))}
      ${ownedByFunctions(DUE, CLAIM, RELEASE, ADVANCE)}
      ${[DUE, CLAIM, RELEASE, ADVANCE, SECRET_OF].map((signature) => mayExecute(signature, 'keyward_worker')).join('')}
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    const operations = OPERATIONS.map((operation) => `'${operation}'`).join(', ');
    const shared = SHARED.map((operation) => `'${operation}'`).join(', ');
    await runner.query(`
      ${replaced(secretOf())}
      DROP FUNCTION keyward.${[DUE, CLAIM, RELEASE, ADVANCE].join(', keyward.')};
      SET LOCAL ROLE keyward_functions;
      REVOKE EXECUTE ON FUNCTION keyward.${SECRET_OF} FROM keyward_worker;
      SET LOCAL ROLE keyward_owner;
      DELETE FROM keyward.plane_operation WHERE op IN (${operations}) OR role = 'keyward_worker' AND op IN (${shared});
      DROP INDEX keyward.rotating_secret_of;
      REVOKE UPDATE (rotation_state, next_rotation_at) ON keyward.secret FROM keyward_functions;
      DROP TABLE keyward.rotating_secret;
    `);
  }
}
