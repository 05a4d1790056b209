import type { MigrationInterface, QueryRunner } from 'typeorm';
import { MOST, wanted } from './0082-due-rows.js';
import { mayAppend, mayNotAppend } from './plane-operations.js';
import { APPEND_OWN_RECORD, mayExecute, ownedByFunctions, tenantRows } from './row-security.js';

const DUE = 'due_warnings(text, text)';
const WARN = 'warn_of_expiry(bytea, text, text, text, integer)';
const OPERATIONS = ['CredentialExpiring', 'MaterialExpiring'];

/** Warned of before the end, in days of 24 hours. */
const THRESHOLDS = 'ARRAY[1, 7, 30]';
const SOON = `clock_timestamp() + interval '720 hours'`;

/** Credentials and imported material that end soon are told in their tenant's log: once for each threshold and end. */
export class ExpiryWarnings implements MigrationInterface {
  readonly name = 'ExpiryWarnings0000000000131';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      ${mayAppend('keyward_worker', OPERATIONS)}

      -- The last that was told of each: of which end, and how many days before. subject: a credential's id, or a key version's.
      CREATE TABLE keyward.expiry_warning (
        tenant_id text NOT NULL REFERENCES keyward.tenant,
        subject text NOT NULL,
        expires_at timestamptz NOT NULL,
        days integer NOT NULL,
        PRIMARY KEY (tenant_id, subject)
      );
      ${tenantRows('expiry_warning')}
      GRANT SELECT, INSERT, UPDATE ON keyward.expiry_warning TO keyward_functions;
      CREATE INDEX credential_expiry ON keyward.credential (expires_at) WHERE revoked_at IS NULL;
      CREATE INDEX key_version_expiry ON keyward.key_version (valid_to) WHERE valid_to > 0;

      -- The nearest threshold that is over, unless it was told; those that were over when a credential was issued are none. An enrolment
      -- code is used within days or not at all.
      CREATE FUNCTION keyward.due_warnings(of_tenant text, of_subject text) RETURNS TABLE (
        tenant_id text, subject text, key_id text, role text, service text, expires_at timestamptz, at text, days integer, log_id text
      ) LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
        SELECT e.tenant_id, e.subject, e.key_id, e.role, e.service, e.expires_at, e.expires_at::text, t.days, l.log_id
          FROM (
            SELECT c.tenant_id, c.credential_id AS subject, NULL AS key_id, c.role, CASE c.role WHEN 'service' THEN c.principal END AS service,
                c.created_at AS since, c.expires_at
              FROM keyward.credential c
              WHERE c.revoked_at IS NULL AND c.role <> 'enrolment' AND c.expires_at > clock_timestamp() AND c.expires_at <= ${SOON}
            UNION ALL
            SELECT v.tenant_id, v.version_id, v.key_id, NULL, NULL, '-infinity', to_timestamp(v.valid_to / 1000.0)
              FROM keyward.key_version v JOIN keyward.cmk k USING (tenant_id, key_id)
              WHERE v.valid_to > 0 AND v.valid_to <= extract(epoch FROM ${SOON}) * 1000 AND to_timestamp(v.valid_to / 1000.0) > clock_timestamp()
                AND length(v.blob) > 0 AND k.state NOT IN ('PendingDeletion', 'Destroyed')) e
          JOIN keyward.log l USING (tenant_id)
          CROSS JOIN LATERAL (
            SELECT min(d) AS days FROM unnest(${THRESHOLDS}) d
              WHERE e.expires_at <= clock_timestamp() + d * interval '24 hours' AND e.expires_at - d * interval '24 hours' > e.since) t
          LEFT JOIN keyward.expiry_warning w ON w.tenant_id = e.tenant_id AND w.subject = e.subject AND w.expires_at = e.expires_at
          WHERE t.days < coalesce(w.days, 1000)
            AND ${wanted('warn-of-expiry', 'e.tenant_id', 'e.subject')} AND (of_subject = e.subject OR of_subject IS NULL)
          ORDER BY e.expires_at LIMIT ${MOST}
      $$;

      -- With its record or not at all. NULL: it is not so any more, or somebody told it.
      CREATE FUNCTION keyward.warn_of_expiry(body bytea, of_tenant text, of_subject text, of_end text, of_days integer) RETURNS bigint
      LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
      DECLARE
        answer bigint;
      BEGIN
        IF NOT EXISTS (SELECT FROM keyward.due_warnings(of_tenant, of_subject) d WHERE d.at = of_end AND d.days = of_days) THEN
          RETURN NULL;
        END IF;
        INSERT INTO keyward.expiry_warning AS w VALUES (of_tenant, of_subject, of_end::timestamptz, of_days)
          ON CONFLICT (tenant_id, subject) DO UPDATE SET expires_at = excluded.expires_at, days = excluded.days
            WHERE w.expires_at <> excluded.expires_at OR w.days > excluded.days;
        IF NOT FOUND THEN
          RETURN NULL;
        END IF;${APPEND_OWN_RECORD}
        RETURN answer;
      END $$;
      ${ownedByFunctions(DUE, WARN)}
      ${[DUE, WARN].map((signature) => mayExecute(signature, 'keyward_worker')).join('')}
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
      DROP FUNCTION keyward.${DUE}, keyward.${WARN};
      DROP INDEX keyward.credential_expiry, keyward.key_version_expiry;
      DROP TABLE keyward.expiry_warning;
      ${mayNotAppend(OPERATIONS)}
    `);
  }
}
