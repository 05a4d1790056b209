import type pg from 'pg';
import type { EntityManager } from 'typeorm';
import { z } from 'zod';
import { type TenantId, tenantId } from '#contract';
import type { EndingLogKey, EndingLogKeys, LaterLogKey, NewLogKey, Reads } from '#core';
import { reading } from './database-error.js';
import { recordBytes } from './record-bytes.js';

const dueRow = z.object({
  tenant_id: tenantId,
  log_id: z.string(),
  number: z.int(),
  vkey: z.string(),
  retired: z.boolean(),
  epoch: z.string(),
  platform_epoch: z.string(),
});

/** The worker's part (migration 0052). */
export class DatabaseLogKeys implements EndingLogKeys {
  constructor(private readonly pool: pg.Pool) {}

  async due(of?: TenantId): Promise<readonly EndingLogKey[]> {
    const { rows } = await reading(() => this.pool.query('SELECT * FROM keyward.log_keys_due($1)', [of]));
    return z
      .array(dueRow)
      .parse(rows)
      .map(({ tenant_id: tenant, log_id: logId, epoch, platform_epoch: platform, ...row }) => ({
        ...row,
        ...{ tenant, logId, epochs: { tenant: epoch, platform } },
      }));
  }

  async retire({ tenant, number, epochs }: EndingLogKey, body: Parameters<EndingLogKeys['retire']>[1]): Promise<void> {
    const values = [tenant, number, epochs.tenant, epochs.platform, recordBytes(body)];
    await reading(() => this.pool.query('SELECT keyward.retire_log_key($1, $2, $3, $4, $5)', values));
  }

  async destroyed({ tenant, number }: EndingLogKey): Promise<void> {
    await reading(() => this.pool.query('SELECT keyward.log_key_destroyed($1, $2)', [tenant, number]));
  }
}

/** The first key of a log has no row of its own. */
export async function newestLogKey(manager: EntityManager, tenant: TenantId): ReturnType<Reads['logKey']> {
  const rows: { number: number; vkey: string; overlaps: boolean }[] = await manager.query(
    `SELECT coalesce(k.number, 1) AS number, coalesce(k.vkey, l.vkey) AS vkey, k.number IS NOT NULL AND k.retired_at IS NULL AS overlaps
       FROM keyward.log l LEFT JOIN keyward.log_key k USING (tenant_id) WHERE l.tenant_id = $1 ORDER BY k.number DESC LIMIT 1`,
    [tenant],
  );
  return rows[0] ?? { number: 1, vkey: '', overlaps: false };
}

export const insertLogKey = (manager: EntityManager, tenant: TenantId, { number, vkey, madeAt, retiresAt }: NewLogKey): Promise<unknown> =>
  manager.query('INSERT INTO keyward.log_key (tenant_id, number, vkey, made_at, retires_at) VALUES ($1, $2, $3, $4, $5)', [
    ...[tenant, number, vkey, madeAt, retiresAt],
  ]);

/**
 * Keys after the first, each with the newest record that names it and the first checkpoint over that; `own` is what every statement for a
 * reader begins with. That checkpoint was signed by the key before it too: the worker reads which keys sign, and how far, at one instant.
 */
export const laterLogKeys = (own: string): string => `
  SELECT k.vkey, coalesce(k.record_seq, r.seq) AS seq, coalesce(k.record, r.bytes) AS record, c.size, c.note FROM keyward.log_key k
    LEFT JOIN LATERAL (
      SELECT seq, bytes FROM keyward.trail_record
        WHERE tenant_id = $1 AND op = 'RotateLogKey' AND outcome = 'succeeded' AND (convert_from(bytes, 'UTF8')::jsonb #>> '{change,number}')::integer = k.number
        ORDER BY seq DESC LIMIT 1) r ON true
    LEFT JOIN LATERAL (
      SELECT size, note FROM keyward.signed_checkpoint WHERE tenant_id = $1 AND size > coalesce(k.record_seq, r.seq) ORDER BY size LIMIT 1) c ON true
    WHERE ${own} ORDER BY k.number`;

export interface LaterLogKeyRow {
  readonly vkey: string;
  readonly seq: string | null;
  readonly record: Buffer | null;
  readonly size: string | null;
  readonly note: string | null;
}

export function laterLogKey({ vkey, seq, record, size, note }: LaterLogKeyRow): LaterLogKey {
  if (seq === null || record === null || size === null || note === null) return { vkey, evidence: undefined };
  return { vkey, evidence: { seq: Number(seq), record, checkpoint: note, size: Number(size) } };
}
