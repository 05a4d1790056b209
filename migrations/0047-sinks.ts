import type { MigrationInterface, QueryRunner } from 'typeorm';
import { mayAppend, mayNotAppend } from './plane-operations.js';
import { tenantRows } from './row-security.js';

const OPERATIONS = ['CreateSink', 'ListSinks', 'DescribeSink', 'UpdateSink', 'DeleteSink', 'TestSink'];
/** What an admin changes; how far a delivery came is the worker's to say, but for where to begin again. */
const CHANGED = [
  ...['description', 'target', 'sealed', 'state', 'next_seq', 'test_requested_at', 'lease'],
  ...['failures', 'failing_since', 'last_error', 'next_attempt_at'],
];

/** Where a tenant's records go besides its log: one row a sink, whose position in the log is all that is kept of a delivery. */
export class Sinks implements MigrationInterface {
  readonly name = 'Sinks0000000000047';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      ${mayAppend('keyward_key_plane', OPERATIONS)}

      CREATE TABLE keyward.sink (
        tenant_id text NOT NULL REFERENCES keyward.tenant,
        sink_id text NOT NULL,
        description text NOT NULL,
        target json NOT NULL,
        -- What the platform proves itself by there, sealed for the worker (RFC 7516).
        sealed text,
        public_key text,
        state text NOT NULL CHECK (state IN ('Active', 'Paused', 'Disabled')),
        created_by text NOT NULL,
        created_at timestamptz NOT NULL,
        next_seq bigint NOT NULL CHECK (next_seq >= 0),
        failures integer NOT NULL DEFAULT 0,
        failing_since timestamptz,
        last_error text CHECK (length(last_error) <= 200),
        next_attempt_at timestamptz NOT NULL,
        last_delivered_at timestamptz,
        test_requested_at timestamptz,
        tested_at timestamptz,
        test_error text CHECK (length(test_error) <= 200),
        -- Held by one worker until then, or by none.
        lease uuid,
        leased_until timestamptz,
        PRIMARY KEY (tenant_id, sink_id)
      );
      ${tenantRows('sink')}
      GRANT SELECT, INSERT, DELETE, UPDATE (${CHANGED.join(', ')}) ON keyward.sink TO keyward_key_plane;
      -- How many records wait.
      GRANT SELECT (tenant_id, size) ON keyward.trail_checkpoint TO keyward_key_plane;
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
      REVOKE SELECT (tenant_id, size) ON keyward.trail_checkpoint FROM keyward_key_plane;
      DROP TABLE keyward.sink;
      ${mayNotAppend(OPERATIONS)}
    `);
  }
}
