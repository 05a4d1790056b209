import { type DataSource, In, IsNull, MoreThan, Not } from 'typeorm';
import type { KeyId, KeyVersionId, LongOperation, LongOperationId, PageQuery, TenantId } from '#contract';
import type { LastRewrap, OperationReads, Page, UploadsOf } from '#core';
import { iso } from './list-answers.js';
import { paging } from './paging.js';
import { RewrapEntity, type RewrapRow } from './rewrap-entity.js';
import { progressOf } from './rewrap-progress.js';
import { readTransaction } from './tenant-transaction.js';

/** Every column but the names of what failed. */
const UNNAMED = Object.keys(RewrapEntity.options.columns)
  .filter((column) => column !== 'failures')
  .map((column) => `r.${column}`);

/** Long operations for the tenant's admins. */
export class DatabaseOperationReads implements OperationReads {
  constructor(private readonly source: DataSource) {}

  async operations(tenant: TenantId, query: PageQuery): Promise<Page<LongOperation>> {
    const { after, take, page } = paging(`operations ${tenant}`, query);
    const where = { tenantId: tenant, ...(after !== undefined && { operationId: MoreThan(after as LongOperationId) }) };
    return await readTransaction(this.source, tenant, async (manager) =>
      page(await manager.find(RewrapEntity, { where, order: { operationId: 'ASC' }, take }), (row) => row.operationId, longOperation),
    );
  }

  async operation(tenant: TenantId, id: LongOperationId): Promise<LongOperation | undefined> {
    return await readTransaction(this.source, tenant, async (manager) => {
      const row = await manager.findOneBy(RewrapEntity, { tenantId: tenant, operationId: id });
      return row === null ? undefined : longOperation(row);
    });
  }

  async lastRewraps(tenant: TenantId, keyId: KeyId, fromVersion: KeyVersionId): Promise<LastRewrap[]> {
    const of = 'r.tenant_id = :tenant AND r.key_id = :keyId AND r.from_version = :fromVersion';
    return await readTransaction(this.source, tenant, async (manager) => {
      const rows = await manager
        .createQueryBuilder(RewrapEntity, 'r')
        .select(UNNAMED)
        .distinctOn(['r.service'])
        .where(`${of} AND r.service IS NOT NULL AND r.state <> 'cancelled'`, { tenant, keyId, fromVersion })
        .orderBy('r.service')
        .addOrderBy('r.endedAt', 'DESC', 'NULLS FIRST')
        .getMany();
      return rows.flatMap(ofService);
    });
  }

  async uploads(tenant: TenantId, keyId: KeyId, version: KeyVersionId): Promise<UploadsOf[]> {
    const of = { tenantId: tenant, keyId, mode: 'upload' as const };
    return await readTransaction(this.source, tenant, async (manager) => {
      const rows = await manager.find(RewrapEntity, {
        where: [
          { ...of, fromVersion: version },
          { ...of, toVersion: version },
        ],
      });
      return rows.map(({ operationId, service, toVersion, endedAt, sealedAt, uploaded, acknowledgedTo }) => ({
        ...{ operationId, service: service ?? '', isOpen: endedAt === null, into: toVersion === version },
        ...{ endedAt: endedAt === null ? undefined : iso(endedAt), sealedAt: sealedAt === null ? undefined : iso(sealedAt) },
        held: Number(uploaded) - Number(acknowledgedTo),
      }));
    });
  }

  async movesOfSecrets(tenant: TenantId, keyId: KeyId, version: KeyVersionId): Promise<LongOperationId[]> {
    const of = { tenantId: tenant, keyId, mode: 'secrets' as const, endedAt: IsNull() };
    const where = [
      { ...of, fromVersion: version },
      { ...of, toVersion: version },
    ];
    const rows = await readTransaction(this.source, tenant, (manager) => manager.findBy(RewrapEntity, where));
    return rows.map(({ operationId }) => operationId);
  }

  async workersRewraps(tenant: TenantId, keys: readonly KeyId[]): Promise<Pick<LongOperation, 'operationId' | 'keyId' | 'service'>[]> {
    const where = { tenantId: tenant, keyId: In([...keys]), mode: Not('pages' as const), endedAt: IsNull() };
    const rows = await readTransaction(this.source, tenant, (manager) =>
      manager.find(RewrapEntity, { where, order: { operationId: 'ASC' } }),
    );
    return rows.map(({ operationId, keyId, service }) => ({ operationId, keyId, service: service ?? undefined }));
  }

  async countOpen(tenant: TenantId): Promise<number> {
    return await readTransaction(this.source, tenant, (manager) => manager.countBy(RewrapEntity, { tenantId: tenant, endedAt: IsNull() }));
  }
}

const longOperation = (row: RewrapRow): LongOperation => ({ ...withoutFailures(row), failures: row.failures });

const ofService = (row: Omit<RewrapRow, 'failures'>): LastRewrap[] =>
  row.service === null ? [] : [{ ...withoutFailures(row), service: row.service }];

function withoutFailures(row: Omit<RewrapRow, 'failures'>): Omit<LongOperation, 'failures'> {
  const { operationId, state, reason, keyId, fromVersion, toVersion, service, itemsPerSecond, createdBy } = row;
  const { startedAt, endedAt, firstSeq, lastSeq } = row;
  return {
    ...{ operationId, kind: 'ReWrap', mode: row.mode, state },
    ...(reason !== null && { reason }),
    progress: progressOf({
      population: row.population === null ? undefined : Number(row.population),
      ...{ done: Number(row.done), kept: Number(row.kept), failed: Number(row.failed), pacedBase: Number(row.pacedBase) },
      ...{ pacedFrom: row.pacedFrom ?? undefined, pacedAt: row.pacedAt ?? undefined },
      byUpload: row.mode === 'upload' ? { uploaded: Number(row.uploaded), settled: Number(row.settled) } : undefined,
    }),
    ...{ keyId, fromVersionId: fromVersion, toVersionId: toVersion, ...(service !== null && { service }), itemsPerSecond },
    ...{ createdBy, createdAt: iso(row.createdAt) },
    ...(startedAt !== null && { startedAt: iso(startedAt) }),
    ...(endedAt !== null && { endedAt: iso(endedAt) }),
    ...(firstSeq !== null && lastSeq !== null && { records: { first: Number(firstSeq), last: Number(lastSeq) } }),
  };
}
