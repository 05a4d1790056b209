import type { MigrationInterface, QueryRunner } from 'typeorm';
import { mayAppend, mayNotAppend } from './plane-operations.js';
import { mayExecute, ownedByFunctions, tenantRows } from './row-security.js';

export const ROLL_UP = 'roll_up(text, bigint)';
const SEQ_AT = 'seq_at(text, timestamptz)';
export const INVENTORY = 'key_inventory(text, text, text, integer)';
const POLICIES = 'policy_history(text, text, integer, integer)';
const OPERATIONS = ['GetRecordProof', 'GetConsistencyProof', 'GetRecordStats', 'ListKeyInventory', 'ListPolicyHistory'];
const USES = `ARRAY['Encrypt', 'Decrypt', 'GenerateDataKey', 'GenerateDataKeyWithoutPlaintext']`;

/** Of the key `k`, by the counts of minutes. */
export const LAST_USE = `
              SELECT json_build_object('at', s.last_at, 'operation', s.op, 'principal', s.principal)
                FROM keyward.trail_stat s
                WHERE s.tenant_id = wanted AND s.key_id = k.key_id AND s.outcome = 'succeeded' AND s.op = ANY (${USES})
                ORDER BY s.last_at DESC LIMIT 1`;

/** `also`: what else is counted, of the records from from_seq to to_seq. */
export const rollUp = (also: string): string => `
      -- Counts what is signed and not counted yet, at most 100,000 records a call. The head is locked: none is counted twice.
      CREATE FUNCTION keyward.roll_up(of_tenant text, up_to bigint) RETURNS void
      LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
      DECLARE
        from_seq bigint;
        to_seq bigint;
      BEGIN
        INSERT INTO keyward.trail_stat_head VALUES (of_tenant, 0) ON CONFLICT DO NOTHING;
        SELECT h.covered_size, least(up_to, h.covered_size + 100000) INTO from_seq, to_seq
          FROM keyward.trail_stat_head h WHERE h.tenant_id = of_tenant FOR UPDATE;
        IF to_seq <= from_seq THEN
          RETURN;
        END IF;
        INSERT INTO keyward.trail_stat AS s
          SELECT r.tenant_id, date_trunc('minute', r.recorded_at, 'UTC'), r.op, r.outcome, coalesce(r.key_id, ''), coalesce(r.principal, ''),
              count(*), max(r.recorded_at)
            FROM keyward.trail_record r WHERE r.tenant_id = of_tenant AND r.seq >= from_seq AND r.seq < to_seq
            GROUP BY 1, 2, 3, 4, 5, 6
          ON CONFLICT (tenant_id, minute, op, outcome, key_id, principal)
            DO UPDATE SET count = s.count + excluded.count, last_at = excluded.last_at;
${also}
        UPDATE keyward.trail_stat_head h SET covered_size = to_seq WHERE h.tenant_id = of_tenant;
      END $$;
      ${ownedByFunctions(ROLL_UP)}
      ${mayExecute(ROLL_UP, 'keyward_worker')}`;

/** `first`: the log's first record. Signatures stay, so that grants do. */
export const seqAt = (first: string): string => `
      -- The first record at or after a time, or the size of the log: times never go back, so a search by halves finds it.
      CREATE OR REPLACE FUNCTION keyward.seq_at(wanted text, at timestamptz) RETURNS bigint
      LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
      DECLARE
        low bigint;
        high bigint;
        middle bigint;
        found_at timestamptz;
      BEGIN
        SELECT ${first}, coalesce(max(r.seq) + 1, 0) INTO low, high FROM keyward.trail_record r WHERE r.tenant_id = wanted;
        WHILE low < high LOOP
          middle := (low + high) / 2;
          SELECT r.recorded_at INTO found_at FROM keyward.trail_record r WHERE r.tenant_id = wanted AND r.seq = middle;
          IF found_at < at THEN
            low := middle + 1;
          ELSE
            high := middle;
          END IF;
        END LOOP;
        RETURN low;
      END $$;`;

export const keyInventory = (lastUse: string): string => `
      CREATE FUNCTION keyward.key_inventory(wanted text, credential text, after_key text, most integer) RETURNS json
      LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
        SELECT coalesce(json_agg(json_build_object(
            'keyId', k.key_id, 'state', k.state, 'description', k.description, 'tags', k.tags, 'createdAt', k.created_at,
            'aliases', (SELECT coalesce(json_agg(a.alias ORDER BY a.alias), '[]') FROM keyward.alias a WHERE a.tenant_id = wanted AND a.key_id = k.key_id),
            'versions', (
              SELECT coalesce(json_agg(json_build_object('versionId', v.version_id, 'primary', v.version_id = k.primary_version,
                  'keySpec', v.spec, 'keyUsage', v.usage, 'origin', v.origin, 'protectionLevel', v.protection_level) ORDER BY v.version_id), '[]')
                FROM keyward.key_version v WHERE v.tenant_id = wanted AND v.key_id = k.key_id),
            'lastUse', (${lastUse})) ORDER BY k.key_id), '[]')
          FROM (
            SELECT c.* FROM keyward.cmk c
              WHERE (SELECT keyward.credential_must_hold(wanted, credential)) AND c.tenant_id = wanted AND c.key_id > coalesce(after_key, '')
              ORDER BY c.key_id LIMIT most) k
      $$;
      ${ownedByFunctions(INVENTORY)}
      ${mayExecute(INVENTORY, 'keyward_auditor')}`;

/**
 * What an auditor asks besides records: counts, kept as the log grows; which record was the first at a time; the keys and their last use;
 * every policy that was ever in force. No column of the trail has an index for it: appends would pay.
 */
export class TrailStats implements MigrationInterface {
  readonly name = 'TrailStats0000000000022';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      ${mayAppend('keyward_auditor', OPERATIONS)}

      -- Records of one minute that are alike. key_id and principal: empty where a record names none.
      CREATE TABLE keyward.trail_stat (
        tenant_id text NOT NULL REFERENCES keyward.tenant,
        minute timestamptz NOT NULL,
        op text NOT NULL,
        outcome text NOT NULL,
        key_id text NOT NULL,
        principal text NOT NULL,
        count bigint NOT NULL,
        last_at timestamptz NOT NULL,
        PRIMARY KEY (tenant_id, minute, op, outcome, key_id, principal)
      );
      CREATE INDEX trail_stat_of_key ON keyward.trail_stat (tenant_id, key_id, last_at) WHERE key_id <> '';
      ${tenantRows('trail_stat')}
      CREATE TABLE keyward.trail_stat_head (
        tenant_id text PRIMARY KEY REFERENCES keyward.tenant,
        covered_size bigint NOT NULL
      );
      ${tenantRows('trail_stat_head')}
      GRANT SELECT, INSERT, UPDATE ON keyward.trail_stat, keyward.trail_stat_head TO keyward_functions;
      GRANT SELECT ON keyward.trail_stat, keyward.trail_stat_head TO keyward_auditor;

      ${rollUp('')}

      ${seqAt('0')}

      ${keyInventory(LAST_USE)}

      CREATE FUNCTION keyward.policy_history(wanted text, credential text, before_version integer, most integer) RETURNS json
      LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
        SELECT coalesce(json_agg(json_build_object(
            'version', v.version, 'digest', v.digest, 'author', v.author, 'publishedAt', v.published_at, 'document', v.document) ORDER BY v.version DESC), '[]')
          FROM (
            SELECT p.* FROM keyward.policy_version p
              WHERE (SELECT keyward.credential_must_hold(wanted, credential)) AND p.tenant_id = wanted AND p.version < coalesce(before_version, 2147483647)
              ORDER BY p.version DESC LIMIT most) v
      $$;
      ${ownedByFunctions(SEQ_AT, POLICIES)}
      ${[SEQ_AT, POLICIES].map((signature) => mayExecute(signature, 'keyward_auditor')).join('')}
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
      DROP FUNCTION keyward.${ROLL_UP}, keyward.${SEQ_AT}, keyward.${INVENTORY}, keyward.${POLICIES};
      DROP TABLE keyward.trail_stat, keyward.trail_stat_head;
      ${mayNotAppend(OPERATIONS)}
    `);
  }
}
