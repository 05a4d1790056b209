import type { MigrationInterface, QueryRunner } from 'typeorm';
import { mayAppend, mayNotAppend } from './plane-operations.js';
import { mayExecute, ownedByFunctions, tenantRows } from './row-security.js';

export const countSignature = (disclosing: boolean): string =>
  `count_read(text, text, text, uuid, uuid, timestamptz, bytea${disclosing ? ', text[], text[], text[]' : ''})`;
export const RECORD = 'record_reads()';
const OPERATIONS = ['GetTile', 'ListCheckpoints', 'GetLog'];

const DISCLOSED = ', field_names text[] DEFAULT NULL, abouts text[] DEFAULT NULL, disclosures text[] DEFAULT NULL';
const DISCLOSE = `,
          disclosing => array_fill(1, ARRAY[coalesce(cardinality(due.disclosures), 0)]), field_names => due.field_names, abouts => due.abouts,
          disclosures => due.disclosures, shared => array_fill(false, ARRAY[coalesce(cardinality(due.disclosures), 0)])`;

/** `disclosing`: with the personal fields of the first read of each minute (migration 0043). */
export const countReads = (disclosing: boolean): string => `
      -- 0 counted, or as trail_append: -1 stale, -2 expired. Raises KW004 as it does.
      CREATE FUNCTION keyward.count_read(
        of_tenant text, credential text, of_op text, of_epoch uuid, of_platform_epoch uuid, valid_until timestamptz, record_body bytea${disclosing ? DISCLOSED : ''}
      ) RETURNS integer LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
      DECLARE
        verdict integer;
      BEGIN
        IF current_setting('synchronous_commit') NOT IN ('on', 'remote_apply') THEN
          RAISE EXCEPTION 'synchronous_commit is too weak' USING ERRCODE = 'KW004';
        END IF;
        IF NOT EXISTS (SELECT FROM keyward.plane_operation p WHERE p.role = session_user AND p.op = of_op) THEN
          RAISE EXCEPTION 'not an operation of this plane' USING ERRCODE = 'KW003';
        END IF;
        SELECT CASE
            WHEN h.epoch <> of_epoch OR p.epoch <> of_platform_epoch THEN -1
            WHEN c.revoked_at IS NOT NULL THEN -1
            WHEN least(valid_until, c.expires_at) < clock_timestamp() THEN -2
            ELSE 0 END
          INTO verdict
          FROM keyward.tenant_head h
          JOIN keyward.tenant_head p ON p.tenant_id = 'platform'
          JOIN keyward.credential c ON c.tenant_id = h.tenant_id AND c.credential_id = credential
          WHERE h.tenant_id = of_tenant;
        IF verdict = 0 THEN
          INSERT INTO keyward.read_count AS r VALUES (of_tenant, credential, of_op, date_trunc('minute', clock_timestamp()), 1, record_body${disclosing ? ', field_names, abouts, disclosures' : ''})
            ON CONFLICT (tenant_id, credential_id, op, minute) DO UPDATE SET count = r.count + 1;
        END IF;
        RETURN coalesce(verdict, -1);
      END $$;

      -- Turns the oldest count of a minute that is over into its record, in one transaction. Answers whether there was one.
      CREATE FUNCTION keyward.record_reads() RETURNS boolean LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
      DECLARE
        due record;
        body bytea;
        answer bigint;
      BEGIN
        SELECT r.*, h.epoch, p.epoch AS platform_epoch INTO due
          FROM keyward.read_count r JOIN keyward.tenant_head h USING (tenant_id) JOIN keyward.tenant_head p ON p.tenant_id = 'platform'
          WHERE r.minute < date_trunc('minute', clock_timestamp())
          ORDER BY r.minute LIMIT 1 FOR UPDATE OF r SKIP LOCKED;
        IF NOT FOUND THEN
          RETURN false;
        END IF;
        body := substring(due.body FROM 1 FOR length(due.body) - 1) || convert_to(',"count":' || due.count || '}', 'UTF8');
        answer := (keyward.trail_append(body, ARRAY[length(body)], ARRAY[due.tenant_id], ARRAY[due.epoch], ARRAY[due.platform_epoch], ARRAY[NULL::timestamptz]${disclosing ? DISCLOSE : ''}))[1];
        IF answer < 0 THEN
          -- A rule changed or the head is held: undone, and tried again.
          RAISE EXCEPTION 'not now' USING ERRCODE = 'lock_not_available';
        END IF;
        DELETE FROM keyward.read_count r
          WHERE r.tenant_id = due.tenant_id AND r.credential_id = due.credential_id AND r.op = due.op AND r.minute = due.minute;
        RETURN true;
      END $$;
      ${ownedByFunctions(countSignature(disclosing), RECORD)}
      ${mayExecute(countSignature(disclosing), 'keyward_auditor')}
      ${mayExecute(RECORD, 'keyward_auditor')}`;

/**
 * An auditor's own reads: counted durably, each under the fence, and recorded once a minute with the exact count. A verifier that reads
 * a whole log tile by tile would otherwise make it longer while it reads.
 */
export class ReadCounts implements MigrationInterface {
  readonly name = 'ReadCounts0000000000021';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      ${mayAppend('keyward_auditor', OPERATIONS)}

      -- body: the record of the first of them, still without its count.
      CREATE TABLE keyward.read_count (
        tenant_id text NOT NULL REFERENCES keyward.tenant,
        credential_id text NOT NULL,
        op text NOT NULL,
        minute timestamptz NOT NULL,
        count integer NOT NULL,
        body bytea NOT NULL CHECK (length(body) <= 7900),
        PRIMARY KEY (tenant_id, credential_id, op, minute)
      ) WITH (fillfactor = 50);
      CREATE INDEX read_count_due ON keyward.read_count (minute);
      ${tenantRows('read_count')}
      GRANT SELECT, INSERT, UPDATE, DELETE ON keyward.read_count TO keyward_functions;

      ${countReads(false)}
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
      DROP FUNCTION keyward.${countSignature(false)}, keyward.${RECORD};
      DROP TABLE keyward.read_count;
      ${mayNotAppend(OPERATIONS)}
    `);
  }
}
