import type { MigrationInterface, QueryRunner } from 'typeorm';
import { mayAppend, mayNotAppend } from './plane-operations.js';
import { mayExecute, ownedByFunctions } from './row-security.js';

const CLAIM = 'claim_sinks(integer, interval)';
const RECORDS = 'sink_records(text, text, uuid, bigint, integer)';
const ADVANCE = 'advance_sink(text, text, uuid, bigint, interval)';
const RELEASE = 'release_sink(text, text, uuid, interval, text, boolean)';
const TESTED = 'sink_tested(text, text, uuid, text)';
const FUNCTIONS = [CLAIM, RECORDS, ADVANCE, RELEASE, TESTED];

/** Whoever's lease ran out, or was taken away by a change of the sink, changes and reads nothing any more. */
const HELD = `s.tenant_id = of_tenant AND s.sink_id = of_sink AND s.lease = held AND s.leased_until > clock_timestamp()`;

/**
 * The worker's whole view of deliveries. A sink is leased, not locked: no connection and no transaction stays open while a receiver takes
 * its time, and a worker that was killed or stopped gives its sinks back by the passing of time.
 */
export class Deliveries implements MigrationInterface {
  readonly name = 'Deliveries0000000000048';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      ${mayAppend('keyward_worker', ['SinkDisabled'])}
      GRANT SELECT, UPDATE ON keyward.sink TO keyward_functions;

      -- Sinks with something to do. First those of tenants that have few under way: nobody's slow receivers take all turns.
      CREATE FUNCTION keyward.claim_sinks(most integer, lease_time interval) RETURNS TABLE (
        tenant_id text, sink_id text, lease uuid, target json, sealed text, active boolean, test_requested boolean, next_seq bigint,
        failures integer, failing_since timestamptz, log_id text, vkey text, epoch uuid, platform_epoch uuid, signed_size bigint, note text
      ) LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
        WITH due AS (
          SELECT s.tenant_id, s.sink_id,
              s.state = 'Active' AND s.next_attempt_at <= clock_timestamp() AND s.next_seq < coalesce(c.size, 0) AS active,
              s.test_requested_at IS NOT NULL AND (s.tested_at IS NULL OR s.tested_at < s.test_requested_at) AS test_requested
            FROM keyward.sink s LEFT JOIN keyward.trail_checkpoint c ON c.tenant_id = s.tenant_id
            WHERE (s.lease IS NULL OR s.leased_until <= clock_timestamp())
              AND (s.state = 'Active' AND s.next_attempt_at <= clock_timestamp() AND s.next_seq < coalesce(c.size, 0)
                OR s.test_requested_at IS NOT NULL AND (s.tested_at IS NULL OR s.tested_at < s.test_requested_at))
            ORDER BY (
                SELECT count(*) FROM keyward.sink o
                  WHERE o.tenant_id = s.tenant_id AND (o.lease IS NOT NULL AND o.leased_until > clock_timestamp() OR o.sink_id < s.sink_id)),
              s.leased_until NULLS FIRST
            LIMIT most FOR UPDATE OF s SKIP LOCKED
        ), claimed AS (
          UPDATE keyward.sink s SET lease = gen_random_uuid(), leased_until = clock_timestamp() + lease_time
            FROM due WHERE s.tenant_id = due.tenant_id AND s.sink_id = due.sink_id
            RETURNING s.tenant_id, s.sink_id, s.lease, s.target, s.sealed, due.active, due.test_requested, s.next_seq, s.failures, s.failing_since
        )
        SELECT s.tenant_id, s.sink_id, s.lease, s.target, s.sealed, s.active, s.test_requested, s.next_seq, s.failures, s.failing_since,
            l.log_id, l.vkey, h.epoch, p.epoch, coalesce(c.size, 0), coalesce(c.note, '')
          FROM claimed s
          JOIN keyward.log l ON l.tenant_id = s.tenant_id
          JOIN keyward.tenant_head h ON h.tenant_id = s.tenant_id
          JOIN keyward.tenant_head p ON p.tenant_id = 'platform'
          LEFT JOIN keyward.trail_checkpoint c ON c.tenant_id = s.tenant_id
      $$;

      -- Records of the sink's own tenant, as far as they are signed.
      CREATE FUNCTION keyward.sink_records(of_tenant text, of_sink text, held uuid, from_seq bigint, most integer)
      RETURNS TABLE (seq bigint, bytes bytea, leaf_hash bytea)
      LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
        SELECT r.seq, r.bytes, r.leaf_hash FROM keyward.trail_record r
          WHERE (SELECT true FROM keyward.sink s WHERE ${HELD}) AND r.tenant_id = of_tenant AND r.seq >= from_seq
            AND r.seq < least(from_seq + least(most, 1000), (SELECT c.size FROM keyward.trail_checkpoint c WHERE c.tenant_id = of_tenant))
          ORDER BY r.seq
      $$;

      -- What was taken does not have to be sent again. False: the lease is void.
      CREATE FUNCTION keyward.advance_sink(of_tenant text, of_sink text, held uuid, to_seq bigint, lease_time interval) RETURNS boolean
      LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
        WITH moved AS (
          UPDATE keyward.sink s SET next_seq = greatest(s.next_seq, to_seq), last_delivered_at = clock_timestamp(), leased_until = clock_timestamp() + lease_time,
              failures = 0, failing_since = NULL, last_error = NULL
            WHERE ${HELD} AND to_seq <= (SELECT c.size FROM keyward.trail_checkpoint c WHERE c.tenant_id = of_tenant)
            RETURNING 1)
        SELECT EXISTS (SELECT FROM moved)
      $$;

      -- With an error: the attempt failed.
      CREATE FUNCTION keyward.release_sink(of_tenant text, of_sink text, held uuid, pause interval, error text, disable boolean) RETURNS void
      LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
        UPDATE keyward.sink s SET lease = NULL, leased_until = clock_timestamp(), next_attempt_at = coalesce(clock_timestamp() + pause, s.next_attempt_at),
            failures = CASE WHEN error IS NULL THEN s.failures ELSE s.failures + 1 END,
            failing_since = CASE WHEN error IS NULL THEN s.failing_since ELSE coalesce(s.failing_since, clock_timestamp()) END,
            last_error = coalesce(left(error, 200), s.last_error),
            state = CASE WHEN disable THEN 'Disabled' ELSE s.state END
          WHERE ${HELD}
      $$;

      CREATE FUNCTION keyward.sink_tested(of_tenant text, of_sink text, held uuid, error text) RETURNS void
      LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
        UPDATE keyward.sink s SET tested_at = clock_timestamp(), test_error = left(error, 200) WHERE ${HELD}
      $$;
      ${ownedByFunctions(...FUNCTIONS)}
      ${FUNCTIONS.map((signature) => mayExecute(signature, 'keyward_worker')).join('')}
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
      DROP FUNCTION ${FUNCTIONS.map((signature) => `keyward.${signature}`).join(', ')};
      REVOKE ALL ON keyward.sink FROM keyward_functions;
      ${mayNotAppend(['SinkDisabled'])}
    `);
  }
}
