import type pg from 'pg';
import type { EntityManager } from 'typeorm';
import type { TenantId } from '#contract';
import { KeywardError, type LogPruning } from '#core';
import { reading } from './database-error.js';

/** The worker's part (migration 0053). */
export class DatabasePruning implements LogPruning {
  constructor(private readonly pool: pg.Pool) {}

  async pruneStep(): Promise<boolean> {
    const { rows } = await reading(() => this.pool.query<{ more: boolean }>('SELECT keyward.prune_step() AS more'));
    return rows[0]?.more === true;
  }

  async dropEmptyMonths(): Promise<void> {
    await reading(() => this.pool.query('SELECT keyward.drop_empty_months()'));
  }
}

export const setRetention = (manager: EntityManager, tenant: TenantId, days: number): Promise<unknown> =>
  manager.query(
    `INSERT INTO keyward.log_retention (tenant_id, days) VALUES ($1, $2) ON CONFLICT (tenant_id) DO UPDATE SET days = excluded.days`,
    [tenant, days],
  );

/** @throws KeywardError precondition-failed */
export async function pruneBelow(
  manager: EntityManager,
  tenant: TenantId,
  minIndex: number,
  { size, root }: { readonly size: number; readonly root: Uint8Array },
): Promise<void> {
  const rows: { reason: string | null }[] = await manager.query('SELECT keyward.prune_below($1, $2, $3, $4) AS reason', [
    ...[tenant, minIndex, size, Buffer.from(root)],
  ]);
  const reason = rows[0]?.reason;
  if (typeof reason === 'string') throw new KeywardError('precondition-failed', `${reason}.`);
}
