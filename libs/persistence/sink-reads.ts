import { type DataSource, type EntityManager, MoreThan } from 'typeorm';
import { type PageQuery, type SinkAnswer, type SinkId, sinkTarget, type TenantId } from '#contract';
import type { Deliverable, Page, SinkReads } from '#core';
import { parsed } from './function-answer.js';
import { iso } from './list-answers.js';
import { paging } from './paging.js';
import { SinkEntity, type SinkRow } from './sink-entity.js';
import { readTransaction } from './tenant-transaction.js';

/** Sinks for the tenant's admins, each beside the size of the signed log. */
export class DatabaseSinkReads implements SinkReads {
  constructor(private readonly source: DataSource) {}

  async sinks(tenant: TenantId, query: PageQuery): Promise<Page<SinkAnswer>> {
    const { after, take, page } = paging(`sinks ${tenant}`, query);
    const where = { tenantId: tenant, ...(after !== undefined && { sinkId: MoreThan(after as SinkId) }) };
    return await readTransaction(this.source, tenant, async (manager) => {
      const rows = await manager.find(SinkEntity, { where, order: { sinkId: 'ASC' }, take });
      const size = await signedSize(manager, tenant);
      return page(
        rows,
        (row) => row.sinkId,
        (row) => sinkAnswer(row, size),
      );
    });
  }

  async sink(tenant: TenantId, id: SinkId): Promise<SinkAnswer | undefined> {
    return await readTransaction(this.source, tenant, async (manager) => {
      const row = await manager.findOneBy(SinkEntity, { tenantId: tenant, sinkId: id });
      return row === null ? undefined : sinkAnswer(row, await signedSize(manager, tenant));
    });
  }

  async deliverable(tenant: TenantId): Promise<Deliverable> {
    return await readTransaction(this.source, tenant, async (manager) => {
      const text = 'SELECT min_index FROM keyward.log_retention WHERE tenant_id = $1';
      const [pruned]: { min_index: string }[] = await manager.query(text, [tenant]);
      return { minIndex: Number(pruned?.min_index ?? 0), size: await signedSize(manager, tenant) };
    });
  }
}

async function signedSize(manager: EntityManager, tenant: TenantId): Promise<number> {
  const rows: { size: string }[] = await manager.query('SELECT size FROM keyward.trail_checkpoint WHERE tenant_id = $1', [tenant]);
  return Number(rows[0]?.size ?? 0);
}

function sinkAnswer(row: SinkRow, size: number): SinkAnswer {
  const { sinkId, description, publicKey, state, createdBy, failures, failingSince, lastError, nextAttemptAt, lastDeliveredAt } = row;
  const nextSeq = Number(row.nextSeq);
  return {
    ...{ sinkId, description, target: parsed('sink', sinkTarget, row.target) },
    ...(publicKey !== null && { publicKey }),
    ...{ state, createdBy, createdAt: iso(row.createdAt) },
    delivery: {
      ...{ nextSeq, pending: Math.max(0, size - nextSeq), failures },
      ...(lastDeliveredAt !== null && { lastDeliveredAt: iso(lastDeliveredAt) }),
      ...(failingSince !== null && { failingSince: iso(failingSince), nextAttemptAt: iso(nextAttemptAt) }),
      ...(lastError !== null && { lastError }),
    },
    ...(row.testRequestedAt !== null && { test: testOf(row, row.testRequestedAt) }),
  };
}

/** What was found before this test was asked for is of another one. */
function testOf({ testedAt, testError }: SinkRow, requestedAt: Date): NonNullable<SinkAnswer['test']> {
  if (testedAt === null || testedAt < requestedAt) return { requestedAt: iso(requestedAt) };
  return { requestedAt: iso(requestedAt), testedAt: iso(testedAt), ...(testError !== null && { error: testError }) };
}
