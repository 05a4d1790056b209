import type pg from 'pg';
import type { DataSource, EntityManager } from 'typeorm';
import { z } from 'zod';
import { type CountedQuota, PLATFORM, QUOTA_NAMES, type QuotaName, QUOTAS, tenantId, type TenantId } from '#contract';
import { KeywardError, type RateLimitsOfTenant, type RateQuotaReads, type StoredQuotas } from '#core';
import { sqlState } from './connection.js';
import { reading, writing } from './database-error.js';
import { parsed } from './function-answer.js';
import { readTransaction } from './tenant-transaction.js';

/** As PostgreSQL's JSON tells it: of names that a later version set, this one knows nothing. */
const limits = z
  .partialRecord(z.string(), z.int().positive())
  .transform((given): { readonly [Name in QuotaName]?: number } =>
    Object.fromEntries(QUOTA_NAMES.flatMap((name) => (given[name] === undefined ? [] : [[name, given[name]]]))),
  );
const count = z.int().nonnegative();
const stored = z.object({ limits, used: z.object({ keys: count, aliases: count, secrets: count, sinks: count, credentials: count }) });
const rates = z.array(z.object({ tenant_id: tenantId, limits }));

export async function quotasOf(source: DataSource, tenant: TenantId): Promise<StoredQuotas> {
  const rows: { answer: unknown }[] = await readTransaction(source, tenant, (manager) =>
    manager.query('SELECT keyward.quotas_of($1) AS answer', [tenant]),
  );
  return parsed('quotas_of', stored, rows[0]?.answer);
}

/** In the transaction that makes one more, before it does. @throws KeywardError limit-exceeded, which names the quota and its limit */
export async function takeQuota(manager: EntityManager, quota: CountedQuota): Promise<void> {
  await writing('quota', async () => {
    try {
      await manager.query('SELECT keyward.take_quota($1, $2)', [quota, QUOTAS[quota].standard]);
    } catch (error) {
      if (sqlState(error) !== 'KW005') throw error;
      const limit = detailOf(error);
      throw new KeywardError('limit-exceeded', `The quota \`${quota}\` of this tenant is ${limit}.`, {
        reason: `quota: ${quota} ${limit}`,
      });
    }
  });
}

/** The limit alone: a driver's error may tell of rows otherwise. */
const detailOf = (error: unknown): string => z.object({ detail: z.string().regex(/^\d+$/) }).safeParse(error).data?.detail ?? 'used up';

export async function setQuota(manager: EntityManager, tenant: TenantId, quota: QuotaName, limit: number | undefined): Promise<void> {
  const values = [PLATFORM, tenant, quota];
  await writing('quota', () =>
    limit === undefined
      ? manager.query('DELETE FROM keyward.tenant_quota WHERE tenant_id = $1 AND limited_tenant = $2 AND quota = $3', values)
      : manager.query(
          `INSERT INTO keyward.tenant_quota VALUES ($1, $2, $3, $4)
            ON CONFLICT (tenant_id, limited_tenant, quota) DO UPDATE SET most = excluded.most`,
          [...values, limit],
        ),
  );
}

/** What each plane asks once in a while. */
export class DatabaseRateQuotas implements RateQuotaReads {
  constructor(private readonly pool: pg.Pool) {}

  async rateQuotas(): Promise<ReadonlyMap<TenantId, RateLimitsOfTenant>> {
    const { rows } = await reading(() => this.pool.query('SELECT * FROM keyward.rate_quotas()'));
    return new Map(parsed('rate_quotas', rates, rows).map((row) => [row.tenant_id, row.limits]));
  }
}
