import { type DataSource, In, MoreThan } from 'typeorm';
import {
  alias,
  type CredentialSummary,
  type KeyDescription,
  PLATFORM,
  principalName,
  type PageQuery,
  type ServiceName,
  serviceName,
  type ServiceSummary,
  type StopAnswer,
  type TenantId,
  type TenantSummary,
} from '#contract';
import type { Page, Reads } from '#core';
import { decodeCursor, encodeCursor } from './cursor.js';
import {
  AliasEntity,
  CmkEntity,
  CredentialEntity,
  type CredentialRow,
  KeyVersionEntity,
  ServiceEntity,
  StopEntity,
  type StopRow,
  TenantEntity,
} from './entities.js';
import { readTransaction } from './tenant-transaction.js';

const iso = (at: Date) => at.toISOString();

/** Lists for people: one page after an id, oldest first, in a read-only transaction held to the tenant. */
export class DatabaseReads implements Reads {
  constructor(private readonly source: DataSource) {}

  async tenants(query: PageQuery): Promise<Page<TenantSummary>> {
    const { after, take, page } = paging('tenants', query);
    const rows = await readTransaction(this.source, PLATFORM, (manager) =>
      manager.find(TenantEntity, {
        where: { ...(after !== undefined && { tenantId: MoreThan(after as TenantId) }) },
        order: { tenantId: 'ASC' },
        take,
      }),
    );
    return page(
      rows,
      (row) => row.tenantId,
      ({ tenantId, displayName, state, createdAt }) => ({ tenant: tenantId, displayName, state, createdAt: iso(createdAt) }),
    );
  }

  async services(query: PageQuery): Promise<Page<ServiceSummary>> {
    const { after, take, page } = paging('services', query);
    const rows = await readTransaction(this.source, PLATFORM, (manager) =>
      manager.find(ServiceEntity, {
        where: { tenantId: PLATFORM, ...(after !== undefined && { service: MoreThan(after) }) },
        order: { service: 'ASC' },
        take,
      }),
    );
    return page(
      rows,
      (row) => row.service,
      ({ service, description, createdAt }) => ({ service: serviceName.parse(service), description, createdAt: iso(createdAt) }),
    );
  }

  async tenantExists(tenant: TenantId): Promise<boolean> {
    return await readTransaction(this.source, tenant, (manager) => manager.existsBy(TenantEntity, { tenantId: tenant }));
  }

  async serviceExists(service: ServiceName): Promise<boolean> {
    return await readTransaction(this.source, PLATFORM, (manager) => manager.existsBy(ServiceEntity, { tenantId: PLATFORM, service }));
  }

  async credentials(tenant: TenantId, query: PageQuery, service?: string): Promise<Page<CredentialSummary>> {
    const { after, take, page } = paging(`credentials ${tenant} ${service ?? ''}`, query);
    const where = {
      tenantId: tenant,
      ...(service !== undefined && ofService(service)),
      ...(after !== undefined && { credentialId: MoreThan(after as CredentialRow['credentialId']) }),
    };
    const rows = await readTransaction(this.source, tenant, (manager) =>
      manager.find(CredentialEntity, { where, order: { credentialId: 'ASC' }, take }),
    );
    return page(rows, (row) => row.credentialId, credentialSummary);
  }

  async keys(tenant: TenantId, query: PageQuery): Promise<Page<KeyDescription>> {
    const { after, take, page } = paging(`keys ${tenant}`, query);
    return await readTransaction(this.source, tenant, async (manager) => {
      const where = { tenantId: tenant, ...(after !== undefined && { keyId: MoreThan(after as KeyDescription['keyId']) }) };
      const keys = await manager.find(CmkEntity, { where, order: { keyId: 'ASC' }, take });
      const ids = In(keys.map((key) => key.keyId));
      const versions = new Map(
        (await manager.findBy(KeyVersionEntity, { tenantId: tenant, keyId: ids })).map((version) => [version.versionId, version]),
      );
      const aliases = Map.groupBy(
        await manager.find(AliasEntity, { where: { tenantId: tenant, keyId: ids }, order: { alias: 'ASC' } }),
        (row) => row.keyId,
      );
      return page(
        keys,
        (key) => key.keyId,
        ({ keyId, state, description, primaryVersion, createdAt }) => {
          const primary = versions.get(primaryVersion);
          if (primary === undefined) throw new Error(`${keyId} has no primary version.`);
          const { spec: keySpec, usage: keyUsage, origin, protectionLevel } = primary;
          const names = (aliases.get(keyId) ?? []).map((row) => alias.parse(row.alias));
          return {
            keyId,
            state,
            keySpec,
            keyUsage,
            origin,
            protectionLevel,
            description,
            aliases: names,
            primaryVersion,
            createdAt: iso(createdAt),
          };
        },
      );
    });
  }

  async stops(tenant: TenantId, query: PageQuery): Promise<Page<StopAnswer>> {
    const { after, take, page } = paging(`stops ${tenant}`, query);
    const where = { tenantId: tenant, ...(after !== undefined && { stopId: MoreThan(after as StopRow['stopId']) }) };
    const rows = await readTransaction(this.source, tenant, (manager) =>
      manager.find(StopEntity, { where, order: { stopId: 'ASC' }, take }),
    );
    return page(rows, (row) => row.stopId, stopAnswer);
  }
}

/** One row more than the page tells whether there is another page. */
function paging(list: string, { cursor, limit }: PageQuery) {
  const page = <Row, Item>(rows: readonly Row[], idOf: (row: Row) => string, itemOf: (row: Row) => Item): Page<Item> => {
    const shown = rows.slice(0, limit);
    const last = shown.at(-1);
    const more = rows.length > limit && last !== undefined;
    return { items: shown.map(itemOf), ...(more && { nextCursor: encodeCursor(list, idOf(last)) }) };
  };
  return { after: decodeCursor(list, cursor), take: limit + 1, page };
}

/** By role too: a service may have the name of an operator. */
export const ofService = (service: string) => ({ principal: service, role: 'service' as const });

const credentialSummary = ({ credentialId, principal, role, createdAt, expiresAt, revokedAt }: CredentialRow): CredentialSummary => ({
  credentialId,
  principal: principalName.parse(principal),
  role,
  createdAt: iso(createdAt),
  expiresAt: iso(expiresAt),
  ...(revokedAt !== null && { revokedAt: iso(revokedAt) }),
});

const stopAnswer = ({ stopId, target, reason, stoppedBy, stoppedAt, liftedAt, liftedBy }: StopRow): StopAnswer => ({
  stopId,
  target,
  reason,
  stoppedBy,
  stoppedAt: iso(stoppedAt),
  ...(liftedAt !== null && { liftedAt: iso(liftedAt) }),
  ...(liftedBy !== null && { liftedBy }),
});
