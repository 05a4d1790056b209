import type { MigrationInterface, QueryRunner } from 'typeorm';
import { mayExecute, ownedByFunctions } from './row-security.js';

export const commitSignature = (disclosing: boolean): string =>
  `trail_commit(bytea, text, uuid, uuid, timestamptz, text, text${disclosing ? ', text[], text[], text[]' : ''})`;

const DISCLOSED = ', field_names text[] DEFAULT NULL, abouts text[] DEFAULT NULL, disclosures text[] DEFAULT NULL';
/** Of people: none of these is shared. */
const DISCLOSE = `,
          disclosing => array_fill(1, ARRAY[coalesce(cardinality(disclosures), 0)]), field_names => field_names, abouts => abouts, disclosures => disclosures,
          shared => array_fill(false, ARRAY[coalesce(cardinality(disclosures), 0)])`;

/** `disclosing`: with the personal fields of the record (migration 0043). */
export const trailCommit = (disclosing: boolean): string => `
      -- Raises KW001 stale, KW002 expired, KW003 malformed; each undoes the transaction, as it must.
      CREATE FUNCTION keyward.trail_commit(
        body bytea, of_tenant text, epoch uuid, platform_epoch uuid, valid_until timestamptz, credential_tenant text, credential text${disclosing ? DISCLOSED : ''}
      ) RETURNS bigint LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
      DECLARE
        answer bigint;
      BEGIN
        -- A change of the platform's rules fences every tenant's appends: none may straddle it.
        IF of_tenant = 'platform' THEN
          PERFORM pg_advisory_xact_lock(7710);
        ELSE
          PERFORM pg_advisory_xact_lock_shared(7710);
        END IF;
        PERFORM 1 FROM keyward.tenant_head h WHERE h.tenant_id = of_tenant FOR UPDATE;

        -- A later statement than the lock. Revoked in this very transaction is no reason: an enrolment code ends with its use.
        PERFORM 1 FROM keyward.credential c
          WHERE c.tenant_id = credential_tenant AND c.credential_id = credential AND c.expires_at > clock_timestamp()
            AND (c.revoked_at IS NULL OR c.xmin = pg_current_xact_id()::xid);
        IF NOT FOUND THEN
          RAISE EXCEPTION 'credential' USING ERRCODE = 'KW001';
        END IF;

        answer := (keyward.trail_append(body, ARRAY[length(body)], ARRAY[of_tenant], ARRAY[epoch], ARRAY[platform_epoch], ARRAY[valid_until]${disclosing ? DISCLOSE : ''}))[1];
        CASE answer
          WHEN -1 THEN RAISE EXCEPTION 'stale' USING ERRCODE = 'KW001';
          WHEN -2 THEN RAISE EXCEPTION 'expired' USING ERRCODE = 'KW002';
          WHEN -3 THEN RAISE EXCEPTION 'malformed' USING ERRCODE = 'KW003';
          WHEN -4 THEN RAISE EXCEPTION 'busy' USING ERRCODE = 'lock_not_available';
          ELSE RETURN answer;
        END CASE;
      END $$;
      ${ownedByFunctions(commitSignature(disclosing))}
      ${mayExecute(commitSignature(disclosing), 'keyward_key_plane')}`;

/** The last statement of every change of state: the fence, the caller's credential again, and the record. */
export class TrailCommit implements MigrationInterface {
  readonly name = 'TrailCommit0000000000009';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      ${trailCommit(false)}
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`DROP FUNCTION keyward.${commitSignature(false)}`);
  }
}
