import type { MigrationInterface, QueryRunner } from 'typeorm';
import { commitSignature, trailCommit } from './0009-trail-commit.js';
import { countReads, countSignature, RECORD } from './0021-read-counts.js';
import { mayAppend, mayNotAppend } from './plane-operations.js';
import { mayExecute, ownedByFunctions, tenantRows } from './row-security.js';
import { appendSignature, trailAppend } from './trail-append.js';

const NEWER = { versions: true, disclosures: true };
const APPENDING = ['keyward_key_plane', 'keyward_data_plane', 'keyward_auditor', 'keyward_worker'];
const OPERATIONS = ['ErasePersonalFields'];
const SHARED_FROM = 'shared_from(text, bigint)';
/** Records of a service share a field for ten minutes, by the clock of their plane (core/disclosures.ts). */
const SHARED = `interval '11 minutes'`;

/** What key planes may do with personal fields: count them and erase them, but not read them. */
const ERASING = 'SELECT (tenant_id, seq, name, about, shared), DELETE';

/**
 * Personal fields beside the records that carry their digests, until they are erased; and the key version of a record as a column, so
 * that uses are counted by it without parsing.
 */
export class Disclosures implements MigrationInterface {
  readonly name = 'Disclosures0000000000043';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      ALTER TABLE keyward.trail_record ADD COLUMN version_id text;

      -- seq: of the first record that carries it. about: whose it is, as records name them. disclosure: base64url (RFC 9901 §4.2).
      CREATE TABLE keyward.trail_disclosure (
        tenant_id text NOT NULL,
        digest bytea NOT NULL,
        seq bigint NOT NULL,
        name text NOT NULL,
        about text NOT NULL,
        shared boolean NOT NULL,
        disclosure text NOT NULL CHECK (length(disclosure) <= 4096),
        PRIMARY KEY (tenant_id, digest)
      );
      CREATE INDEX trail_disclosure_of_record ON keyward.trail_disclosure (tenant_id, seq);
      ${tenantRows('trail_disclosure')}
      GRANT SELECT, INSERT ON keyward.trail_disclosure TO keyward_functions;
      GRANT SELECT ON keyward.trail_disclosure TO keyward_auditor;
      GRANT ${ERASING} ON keyward.trail_disclosure TO keyward_key_plane;
      -- The first record whose shared fields the one at from_seq, or a later one, may carry.
      CREATE FUNCTION keyward.shared_from(wanted text, from_seq bigint) RETURNS json
      LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
        SELECT to_json(coalesce((
          SELECT keyward.seq_at(wanted, r.recorded_at - ${SHARED}) FROM keyward.trail_record r WHERE r.tenant_id = wanted AND r.seq = from_seq), from_seq))
      $$;
      ${ownedByFunctions(SHARED_FROM)}
      ${mayExecute(SHARED_FROM, 'keyward_key_plane')}
      ${mayAppend('keyward_key_plane', OPERATIONS)}

      ALTER TABLE keyward.read_count ADD COLUMN field_names text[], ADD COLUMN abouts text[], ADD COLUMN disclosures text[];
      DROP FUNCTION keyward.${appendSignature()}, keyward.${commitSignature(false)}, keyward.${countSignature(false)}, keyward.${RECORD};
      ${trailAppend(NEWER, ...APPENDING)}
      ${trailCommit(true)}
      ${countReads(true)}
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
      DROP FUNCTION keyward.${appendSignature(NEWER)}, keyward.${commitSignature(true)}, keyward.${countSignature(true)}, keyward.${RECORD};
      ${trailAppend(undefined, ...APPENDING)}
      ${trailCommit(false)}
      ${countReads(false)}
      ALTER TABLE keyward.read_count DROP COLUMN field_names, DROP COLUMN abouts, DROP COLUMN disclosures;
      ${mayNotAppend(OPERATIONS)}
      DROP FUNCTION keyward.${SHARED_FROM};
      DROP TABLE keyward.trail_disclosure;
      ALTER TABLE keyward.trail_record DROP COLUMN version_id;
    `);
  }
}
