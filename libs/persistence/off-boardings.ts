import type pg from 'pg';
import type { DataSource, EntityManager } from 'typeorm';
import { z } from 'zod';
import {
  OFF_BOARDING_STATES,
  offBoardingAnswer,
  type OffBoardingAnswer,
  PLATFORM,
  type PageQuery,
  tenantId,
  type TenantId,
} from '#contract';
import {
  type BegunOffBoarding,
  type DueOffBoarding,
  KeywardError,
  type LeavingTenant,
  type OffBoardings,
  type OffBoardingStep,
  type Page,
  StaleSnapshot,
  type WhatHasGone,
} from '#core';
import type { RecordBody } from '#contract';
import { reading, writing } from './database-error.js';
import { orNone, parsed, recordedBy } from './function-answer.js';
import { paging } from './paging.js';
import { recordBytes } from './record-bytes.js';
import { readTransaction } from './tenant-transaction.js';

const time = orNone(z.date().transform((at) => at.toISOString()));
const text = orNone(z.string());
const row = z
  .object({
    ...{ tenant_id: tenantId, step: z.enum(OFF_BOARDING_STATES), suspension: text, agreed_by: text, agreed_at: time, begun_by: text },
    ...{ begun_at: time, reason: text, ends_at: time, ended_at: time },
  })
  .transform(
    ({
      tenant_id: tenant,
      step: state,
      suspension,
      agreed_by: agreedBy,
      agreed_at: agreedAt,
      begun_by: begunBy,
      ...rest
    }): OffBoardingAnswer => {
      const { begun_at: begunAt, reason, ends_at: endsAt, ended_at: endedAt } = rest;
      const basis = begunBy === undefined ? undefined : agreedBy === undefined ? ('suspension' as const) : ('agreement' as const);
      return offBoardingAnswer.parse({ tenant, state, agreedBy, agreedAt, basis, begunBy, begunAt, reason, endsAt, endedAt });
    },
  );
const leavingRow = z.object({ state: z.enum(['Pending', 'Active', 'Ended']), suspended: z.boolean() });

/** As an operator sees it, and the tenant itself of itself: row-level security says which. */
export async function leavingTenant(source: DataSource, tenant: TenantId): Promise<LeavingTenant | undefined> {
  return await readTransaction(source, PLATFORM, async (manager) => {
    const found: unknown[] = await manager.query(
      `SELECT t.state, EXISTS (SELECT FROM keyward.tenant_suspension s WHERE s.suspended_tenant = t.tenant_id) AS suspended
        FROM keyward.tenant t WHERE t.tenant_id = $1`,
      [tenant],
    );
    if (found.length === 0) return undefined;
    const rows: unknown = await manager.query('SELECT * FROM keyward.off_boarding WHERE tenant_id = $1', [tenant]);
    return { ...parsed('tenant', leavingRow, found[0]), offBoarding: parsed('off_boarding', z.array(row), rows)[0] };
  });
}

export async function offBoardings(source: DataSource, query: PageQuery): Promise<Page<OffBoardingAnswer>> {
  const { after = '', take, page } = paging('off-boardings', query);
  const sql = 'SELECT * FROM keyward.off_boarding WHERE tenant_id > $1 ORDER BY tenant_id LIMIT $2';
  const rows: unknown = await readTransaction(source, PLATFORM, (manager) => manager.query(sql, [after, take]));
  return page(
    parsed('off_boarding', z.array(row), rows),
    ({ tenant }) => tenant,
    (item) => item,
  );
}

/** The root that is to be the last one is the one after the present: nobody rotates it between that reading and this transaction's end. */
export async function holdRoot(manager: EntityManager, tenant: TenantId): Promise<void> {
  await manager.query('SELECT pg_advisory_xact_lock(7713, hashtext($1))', [tenant]);
}

export async function agreeToOffBoarding(manager: EntityManager, tenant: TenantId, by: string, at: Date): Promise<void> {
  const sql = `INSERT INTO keyward.off_boarding (tenant_id, step, agreed_by, agreed_at) VALUES ($1, 'Agreed', $2, $3) ON CONFLICT DO NOTHING RETURNING 1`;
  const rows: unknown[] = await writing('off-boarding', () => manager.query(sql, [tenant, by, at]));
  if (rows.length === 0) throw new KeywardError('state-unchangeable', 'It is agreed to, or under way.', { reason: 'off-boarding' });
}

const BEGIN = {
  agreement: `UPDATE keyward.off_boarding o SET step = 'Waiting', begun_by = $2, begun_at = $3, ends_at = $4, reason = $5, last_root = $6
      WHERE o.tenant_id = $1 AND o.step = 'Agreed' AND`,
  suspension: `INSERT INTO keyward.off_boarding (tenant_id, step, suspension, begun_by, begun_at, ends_at, reason, last_root)
      SELECT $1, 'Waiting', $1, $2, $3::timestamptz, $4::timestamptz, $5, $6::integer WHERE`,
};
const ROOT_IS_STILL_THE_ONE_BEFORE = 'coalesce((SELECT r.root FROM keyward.tenant_root r WHERE r.tenant_id = $1), 0) = $6::integer - 1';

export async function beginOffBoarding(manager: EntityManager, begun: BegunOffBoarding): Promise<void> {
  const { tenant, basis, by, at, endsAt, reason, root } = begun;
  const onConflict = basis === 'suspension' ? 'ON CONFLICT DO NOTHING' : '';
  const begunOne = await writing('off-boarding', async () => {
    await holdRoot(manager, tenant);
    const sql = `${BEGIN[basis]} ${ROOT_IS_STILL_THE_ONE_BEFORE} ${onConflict} RETURNING 1`;
    // TypeORM answers an update with its rows, and their number.
    const rows: unknown[][] = await manager.query(sql, [tenant, by, at, endsAt, reason, root]);
    return (basis === 'agreement' ? rows[0]! : rows).length > 0;
  });
  if (!begunOne) throw new StaleSnapshot();
}

export async function cancelOffBoarding(manager: EntityManager, tenant: TenantId): Promise<void> {
  const sql = `DELETE FROM keyward.off_boarding WHERE tenant_id = $1 AND step IN ('Agreed', 'Waiting') RETURNING 1`;
  const [rows]: [unknown[], number] = await writing('off-boarding', () => manager.query(sql, [tenant]));
  if (rows.length === 0) throw new StaleSnapshot();
}

const dueRow = z
  .object({ tenant_id: tenantId, due: z.string(), due_at: z.date(), log_id: z.string(), platform_log_id: z.string(), closed: z.boolean() })
  .transform(
    ({ tenant_id: tenant, due_at: dueAt, log_id: logId, platform_log_id: platformLogId, ...rest }): DueOffBoarding => ({
      ...{ tenant, dueAt, logId, platformLogId, ...rest },
    }),
  );
const gone = z.object({ removed: z.record(z.string(), z.int()), destroyedKeys: z.int(), receipts: z.string() });
const STEPS = ['keys', 'destroying', 'root', 'receipts', 'rows', 'sinks', 'end'] as const satisfies readonly OffBoardingStep[];

/** What the worker may do with tenants that leave: the functions of migration 0191, and nothing else. */
export class DatabaseOffBoardings implements OffBoardings {
  constructor(private readonly pool: pg.Pool) {}

  async dueOffBoardings(of?: TenantId): Promise<readonly DueOffBoarding[]> {
    const sql = 'SELECT d.*, d.due::timestamptz AS due_at FROM keyward.due_off_boardings($1) d';
    const { rows } = await reading(() => this.pool.query(sql, [of]));
    return parsed('due_off_boardings', z.array(dueRow), rows);
  }

  async close({ tenant, due }: DueOffBoarding, body: RecordBody): Promise<bigint | undefined> {
    return await recordedBy(this.pool, 'close_tenant', [recordBytes(body), tenant, due], 'closing a tenant failed');
  }

  async step(tenant: TenantId): Promise<OffBoardingStep> {
    const { rows } = await reading(() => this.pool.query<{ step: unknown }>('SELECT keyward.off_board_step($1) AS step', [tenant]));
    return parsed('off_board_step', z.enum(STEPS), rows[0]?.step);
  }

  async whatHasGone(tenant: TenantId): Promise<WhatHasGone | undefined> {
    const { rows } = await reading(() => this.pool.query<{ answer: unknown }>('SELECT keyward.what_has_gone($1) AS answer', [tenant]));
    return parsed('what_has_gone', orNone(gone), rows[0]?.answer);
  }

  async end({ tenant }: DueOffBoarding, body: RecordBody, platformBody: RecordBody): Promise<bigint | undefined> {
    return await recordedBy(this.pool, 'end_tenant', [recordBytes(body), recordBytes(platformBody), tenant], 'the end of a tenant failed');
  }
}
