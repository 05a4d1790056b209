import type pg from 'pg';
import { z } from 'zod';
import { sinkId, sinkTarget, tenantId } from '#contract';
import type { ClaimedSink, Deliveries, DeliveredRecord, LaterLogKey } from '#core';
import { reading } from './database-error.js';
import { parsed } from './function-answer.js';
import { laterLogKey, type LaterLogKeyRow } from './log-keys.js';

/**
 * Longer than a receiver may take for one step (apps/worker/delivery), so that nobody else takes a sink meanwhile; how long a sink waits
 * whose worker was killed.
 */
const LEASE = '45 seconds';

const claimedRow = z
  .object({
    tenant_id: tenantId,
    sink_id: sinkId,
    lease: z.uuid(),
    target: sinkTarget.optional().catch(undefined),
    sealed: z.string().nullable(),
    active: z.boolean(),
    test_requested: z.boolean(),
    next_seq: z.coerce.number(),
    failures: z.int(),
    failing_since: z.date().nullable(),
    log_id: z.string(),
    vkey: z.string(),
    epoch: z.string(),
    platform_epoch: z.string(),
    signed_size: z.coerce.number(),
    note: z.string(),
  })
  .transform(
    (row): ClaimedSink => ({
      ...{ tenant: row.tenant_id, sinkId: row.sink_id, lease: row.lease, target: row.target, sealed: row.sealed ?? undefined },
      ...{ active: row.active, testRequested: row.test_requested, nextSeq: row.next_seq },
      ...{ failures: row.failures, failingSince: row.failing_since ?? undefined },
      log: { logId: row.log_id, vkey: row.vkey },
      epochs: { tenant: row.epoch, platform: row.platform_epoch },
      signed: { size: row.signed_size, note: row.note },
    }),
  );

/** The worker's functions of migration 0048. */
export class DatabaseDeliveries implements Deliveries {
  constructor(private readonly pool: pg.Pool) {}

  async claim(most: number): Promise<ClaimedSink[]> {
    const { rows } = await reading(() => this.pool.query(`SELECT * FROM keyward.claim_sinks($1, $2)`, [most, LEASE]));
    return parsed('claim_sinks', z.array(claimedRow), rows);
  }

  async records(sink: ClaimedSink, from: number, most: number): Promise<DeliveredRecord[]> {
    const { rows } = await reading(() =>
      this.pool.query<{ seq: string; bytes: Buffer; leaf_hash: Buffer }>('SELECT * FROM keyward.sink_records($1, $2, $3, $4, $5)', [
        ...held(sink),
        from,
        most,
      ]),
    );
    return rows.map(({ seq, bytes, leaf_hash }) => ({ seq: Number(seq), bytes, leafHash: leaf_hash }));
  }

  async laterLogKeys(sink: ClaimedSink): Promise<readonly LaterLogKey[]> {
    const { rows } = await reading(() =>
      this.pool.query<LaterLogKeyRow>('SELECT * FROM keyward.sink_log_keys($1, $2, $3)', [...held(sink)]),
    );
    return rows.map(laterLogKey);
  }

  async minIndex(sink: ClaimedSink): Promise<number> {
    const { rows } = await reading(() =>
      this.pool.query<{ min: string }>('SELECT keyward.sink_min_index($1, $2, $3) AS min', [...held(sink)]),
    );
    return Number(rows[0]?.min ?? 0);
  }

  async advance(sink: ClaimedSink, nextSeq: number): Promise<boolean> {
    const { rows } = await reading(() =>
      this.pool.query<{ moved: boolean }>('SELECT keyward.advance_sink($1, $2, $3, $4, $5) AS moved', [...held(sink), nextSeq, LEASE]),
    );
    return rows[0]?.moved === true;
  }

  async release(sink: ClaimedSink, pauseMs: number | undefined, failure?: Parameters<Deliveries['release']>[2]): Promise<void> {
    const values = [...held(sink), pauseMs === undefined ? null : Math.round(pauseMs), failure?.error ?? null, failure?.disable ?? false];
    await reading(() => this.pool.query(`SELECT keyward.release_sink($1, $2, $3, $4 * interval '1 millisecond', $5, $6)`, values));
  }

  async tested(sink: ClaimedSink, error: string | undefined): Promise<void> {
    await reading(() => this.pool.query('SELECT keyward.sink_tested($1, $2, $3, $4)', [...held(sink), error ?? null]));
  }
}

const held = ({ tenant, sinkId: id, lease }: ClaimedSink) => [tenant, id, lease] as const;
