import { z } from 'zod';
import { type DataSource, type EntityManager, In, IsNull, MoreThan, Not } from 'typeorm';
import {
  type Alias,
  alias,
  type AliasAnswer,
  type CalendarItem,
  type CredentialSummary,
  type ImportToken,
  type JobsAnswer,
  jobsAnswer,
  type KeyDescription,
  type KeyId,
  type KeyState,
  type KeyVersionSummary,
  type ListAliasesQuery,
  type ListKeysQuery,
  type OffBoardingAnswer,
  PLATFORM,
  policyDocument,
  type PolicyDraftAnswer,
  type PolicyVersionSummary,
  type PageQuery,
  type ServiceName,
  type ServiceSummary,
  type ShreddingReceiptAnswer,
  type StopAnswer,
  type StopId,
  type SuspensionAnswer,
  type TenantId,
  type TenantSummary,
} from '#contract';
import {
  InvalidRequest,
  type KeyNames,
  type LeavingTenant,
  type Page,
  type Reads,
  type StoredImport,
  type StoredPolicy,
  type StoredQuotas,
  type StoredBindingKey,
  type StoredRoot,
} from '#core';
import {
  AliasEntity,
  CmkEntity,
  type CmkRow,
  CredentialEntity,
  type CredentialRow,
  KeyImportEntity,
  KeyVersionEntity,
  type KeyVersionRow,
  ServiceEntity,
  SuspensionEntity,
  TenantEntity,
} from './entities.js';
import { PolicyDraftEntity, PolicyEntity, StopEntity, type StopRow } from './rule-entities.js';
import { parsed } from './function-answer.js';
import { calendar } from './calendar.js';
import { rotationsOf } from './key-rotations.js';
import { newestLogKey } from './log-keys.js';
import {
  credentialSummary,
  iso,
  keyDescription,
  keyVersionSummary,
  policyVersionSummary,
  receiptRow,
  bindingKeyRow,
  rootRow,
  serviceSummary,
  stopAnswer,
  suspensionAnswer,
} from './list-answers.js';
import { leavingTenant, offBoardings } from './off-boardings.js';
import { paging } from './paging.js';
import { quotasOf } from './quotas.js';
import { readTransaction } from './tenant-transaction.js';

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

  async quotas(tenant: TenantId): Promise<StoredQuotas> {
    return await quotasOf(this.source, tenant);
  }

  async leavingTenant(tenant: TenantId): Promise<LeavingTenant | undefined> {
    return await leavingTenant(this.source, tenant);
  }

  async offBoardings(query: PageQuery): Promise<Page<OffBoardingAnswer>> {
    return await offBoardings(this.source, query);
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
    return page(rows, (row) => row.service, serviceSummary);
  }

  async keyImport(tenant: TenantId, importToken: ImportToken): Promise<StoredImport | undefined> {
    const row = await readTransaction(this.source, tenant, (manager) =>
      manager.findOneBy(KeyImportEntity, { tenantId: tenant, importToken }),
    );
    if (row === null) return undefined;
    const { tenantId: _tenant, expiresAt, usedAt, ...bound } = row;
    return { tenant, ...bound, expiresAt: expiresAt.getTime(), usedAt: usedAt ?? undefined };
  }

  async keyPast(tenant: TenantId, id: KeyId): Promise<{ stateBefore: KeyState | undefined; destroyedAt: Date | undefined }> {
    const row = await readTransaction(this.source, tenant, (manager) => manager.findOneBy(CmkEntity, { tenantId: tenant, keyId: id }));
    return { stateBefore: row?.stateBefore ?? undefined, destroyedAt: row?.destroyedAt ?? undefined };
  }

  async service(service: ServiceName): Promise<ServiceSummary | undefined> {
    const row = await readTransaction(this.source, PLATFORM, (manager) =>
      manager.findOneBy(ServiceEntity, { tenantId: PLATFORM, service }),
    );
    return row === null ? undefined : serviceSummary(row);
  }

  async logKey(tenant: TenantId): ReturnType<Reads['logKey']> {
    return await readTransaction(this.source, tenant, (manager) => newestLogKey(manager, tenant));
  }

  async suspensions(query: PageQuery): Promise<Page<SuspensionAnswer>> {
    const { after, take, page } = paging('suspensions', query);
    const where = { tenantId: PLATFORM, ...(after !== undefined && { suspendedTenant: MoreThan(after as TenantId) }) };
    const rows = await readTransaction(this.source, PLATFORM, (manager) =>
      manager.find(SuspensionEntity, { where, order: { suspendedTenant: 'ASC' }, take }),
    );
    return page(rows, (row) => row.suspendedTenant, suspensionAnswer);
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

  async keys(tenant: TenantId, { cursor, limit, ...filter }: ListKeysQuery): Promise<Page<KeyDescription>> {
    const { after, take, page } = paging(`keys ${tenant} ${JSON.stringify(filter)}`, { cursor, limit });
    return await readTransaction(this.source, tenant, async (manager) => {
      const keys = await keysAfter(manager, tenant, after, filter, take);
      const keyId = In(keys.map((key) => key.keyId));
      const versions = new Map((await manager.findBy(KeyVersionEntity, { tenantId: tenant, keyId })).map((row) => [row.versionId, row]));
      const aliases = await aliasesOf(manager, tenant, keys);
      return page(
        keys,
        (key) => key.keyId,
        (key) => keyDescription(key, versions.get(key.primaryVersion), aliases.get(key.keyId) ?? []),
      );
    });
  }

  async keyVersions(tenant: TenantId, keyId: KeyId, query: PageQuery): Promise<Page<KeyVersionSummary>> {
    const { after, take, page } = paging(`key-versions ${tenant} ${keyId}`, query);
    const where = { tenantId: tenant, keyId, ...(after !== undefined && { versionId: MoreThan(after as KeyVersionRow['versionId']) }) };
    return await readTransaction(this.source, tenant, async (manager) => {
      const key = await manager.findOneBy(CmkEntity, { tenantId: tenant, keyId });
      const select = { versionId: true, protectionLevel: true, blob: true, publicKey: true };
      const rows = await manager.find(KeyVersionEntity, { select, where, order: { versionId: 'ASC' }, take });
      return page(
        rows,
        (row) => row.versionId,
        (row) => keyVersionSummary(row, key?.primaryVersion),
      );
    });
  }

  async root(tenant: TenantId): Promise<StoredRoot> {
    const text = `SELECT r.root AS number, r.started_at AS "startedAt", r.ended_at AS "endedAt", (
        SELECT count(*)::integer FROM keyward.key_version v WHERE v.tenant_id = $1 AND v.root < r.root AND length(v.blob) > 0) AS left
      FROM keyward.tenant_root r WHERE r.tenant_id = $1`;
    const rows: unknown = await readTransaction(this.source, tenant, (manager) => manager.query(text, [tenant]));
    return parsed('tenant_root', z.array(rootRow), rows)[0] ?? { number: 0, startedAt: undefined, endedAt: undefined, left: 0 };
  }

  async bindingKey(): Promise<StoredBindingKey> {
    const rows: unknown[] = await readTransaction(this.source, PLATFORM, (manager) =>
      manager.query('SELECT * FROM keyward.binding_state()'),
    );
    return parsed('binding_state', bindingKeyRow, rows[0]);
  }

  async jobs(tenant: TenantId): Promise<JobsAnswer> {
    const rows: unknown[] = await readTransaction(this.source, tenant, (manager) =>
      manager.query('SELECT keyward.jobs_of($1) AS items', [tenant]),
    );
    return parsed('jobs_of', jobsAnswer, rows[0]);
  }

  async shreddingReceipt(tenant: TenantId, id: KeyId): Promise<ShreddingReceiptAnswer | undefined> {
    const text = `SELECT k.key_id AS "keyId", k.destroyed_at AS "destroyedAt", t.receipt
      FROM keyward.cmk k JOIN keyward.key_tombstone t USING (tenant_id, key_id) WHERE k.tenant_id = $1 AND k.key_id = $2`;
    const rows: unknown = await readTransaction(this.source, tenant, (manager) => manager.query(text, [tenant, id]));
    return parsed('key_tombstone', z.array(receiptRow), rows)[0];
  }

  async calendar(tenant: TenantId, query: PageQuery): Promise<Page<CalendarItem>> {
    return await calendar(this.source, tenant, query);
  }

  async aliases(tenant: TenantId, { keyId, ...query }: ListAliasesQuery): Promise<Page<AliasAnswer>> {
    const { after, take, page } = paging(`aliases ${tenant} ${keyId ?? ''}`, query);
    const where = { tenantId: tenant, ...(keyId && { keyId }), ...(after !== undefined && { alias: MoreThan(after) }) };
    const rows = await readTransaction(this.source, tenant, (manager) =>
      manager.find(AliasEntity, { where, order: { alias: 'ASC' }, take }),
    );
    return page(
      rows,
      (row) => row.alias,
      (row) => ({ alias: alias.parse(row.alias), keyId: row.keyId }),
    );
  }

  async keyNames(tenant: TenantId, query: PageQuery): Promise<Page<KeyNames>> {
    const { after, take, page } = paging(`key-names ${tenant}`, query);
    return await readTransaction(this.source, tenant, async (manager) => {
      const where = { tenantId: tenant, ...(after !== undefined && { keyId: MoreThan(after as KeyDescription['keyId']) }) };
      const keys = await manager.find(CmkEntity, { where, order: { keyId: 'ASC' }, take });
      const aliases = await aliasesOf(manager, tenant, keys);
      const rotations = await rotationsOf(manager, tenant, keys);
      return page(
        keys,
        (key) => key.keyId,
        ({ keyId, state, tags }) => ({ keyId, state, tags, aliases: aliases.get(keyId) ?? [], rotation: rotations.get(keyId) }),
      );
    });
  }

  async namesOfKey(tenant: TenantId, id: KeyId): Promise<KeyNames | undefined> {
    return await readTransaction(this.source, tenant, async (manager) => {
      const key = await manager.findOneBy(CmkEntity, { tenantId: tenant, keyId: id });
      if (key === null) return undefined;
      const { keyId, state, tags } = key;
      return { keyId, state, tags, aliases: (await aliasesOf(manager, tenant, [key])).get(keyId) ?? [] };
    });
  }

  async policyVersions(tenant: TenantId, query: PageQuery): Promise<Page<PolicyVersionSummary>> {
    const { after, take, page } = paging(`policy-versions ${tenant}`, query);
    const where = { tenantId: tenant, ...(after !== undefined && { version: MoreThan(versionAfter(after)) }) };
    const rows = await readTransaction(this.source, tenant, (manager) =>
      manager.find(PolicyEntity, { where, order: { version: 'ASC' }, take }),
    );
    return page(rows, ({ version }) => `v${version}`, policyVersionSummary);
  }

  async policyVersion(tenant: TenantId, version: number): Promise<StoredPolicy | undefined> {
    if (version > LAST_VERSION) return undefined;
    const select = { version: true, digest: true, author: true, publishedAt: true, document: true, mac: true } as const;
    const row = await readTransaction(this.source, tenant, (manager) =>
      manager.findOne(PolicyEntity, { where: { tenantId: tenant, version }, select }),
    );
    if (row === null) return undefined;
    return { ...policyVersionSummary(row), document: parsed('policy_version', policyDocument, row.document), mac: row.mac };
  }

  async policyDraft(tenant: TenantId): Promise<PolicyDraftAnswer | undefined> {
    const row = await readTransaction(this.source, tenant, (manager) => manager.findOneBy(PolicyDraftEntity, { tenantId: tenant }));
    if (row === null) return undefined;
    const { digest, author, savedAt, document } = row;
    return { digest, author, savedAt: iso(savedAt), document: parsed('policy_draft', policyDocument, document) };
  }

  async stop(tenant: TenantId, id: StopId): Promise<StopAnswer | undefined> {
    const row = await readTransaction(this.source, tenant, (manager) => manager.findOneBy(StopEntity, { tenantId: tenant, stopId: id }));
    return row === null ? undefined : stopAnswer(row);
  }

  /** The same rows, in the same order, as `lifted` of rules_of (migration 0007). */
  async liftedStops(tenant: TenantId): Promise<StopId[]> {
    const rows = await readTransaction(this.source, tenant, (manager) =>
      manager.find(StopEntity, {
        select: { stopId: true },
        where: { tenantId: tenant, liftedAt: Not(IsNull()) },
        order: { liftNumber: { direction: 'ASC', nulls: 'LAST' }, stopId: 'ASC' },
      }),
    );
    return rows.map(({ stopId }) => stopId);
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

/** PostgreSQL's largest integer. */
const LAST_VERSION = 2 ** 31 - 1;

/** The check value of a cursor is no secret. @throws InvalidRequest */
function versionAfter(id: string): number {
  const version = Number(/^v(\d{1,10})$/.exec(id)?.[1] ?? Number.NaN);
  if (version <= LAST_VERSION) return version;
  throw new InvalidRequest([{ field: 'cursor', message: 'is not a cursor of this list' }]);
}

/** Rules mean a tag as the text `name=value`, whose name ends at the first `=`, and so does the filter. */
function keysAfter(
  manager: EntityManager,
  tenant: TenantId,
  after: string | undefined,
  { state, keySpec, keyUsage, tag }: Omit<ListKeysQuery, 'cursor' | 'limit'>,
  take: number,
): Promise<CmkRow[]> {
  const query = manager.createQueryBuilder(CmkEntity, 'k').where('k.tenantId = :tenant', { tenant });
  if (after !== undefined) query.andWhere('k.keyId > :after', { after });
  if (state !== undefined) query.andWhere('k.state = :state', { state });
  if (tag !== undefined)
    query.andWhere(`EXISTS (SELECT FROM json_each_text(k.tags) t WHERE t.key NOT LIKE '%=%' AND t.key || '=' || t.value = :tag)`, { tag });
  const ofPrimary = `EXISTS (SELECT FROM keyward.key_version v WHERE v.tenant_id = k.tenant_id AND v.version_id = k.primary_version`;
  if (keySpec !== undefined) query.andWhere(`${ofPrimary} AND v.spec = :keySpec)`, { keySpec });
  if (keyUsage !== undefined) query.andWhere(`${ofPrimary} AND v.usage = :keyUsage)`, { keyUsage });
  return query.orderBy('k.keyId').limit(take).getMany();
}

async function aliasesOf(
  manager: EntityManager,
  tenantId: TenantId,
  keys: readonly { readonly keyId: KeyId }[],
): Promise<Map<KeyId, Alias[]>> {
  const keyId = In(keys.map((key) => key.keyId));
  const rows = await manager.find(AliasEntity, { where: { tenantId, keyId }, order: { alias: 'ASC' } });
  const byKey = Map.groupBy(rows, (row) => row.keyId);
  return new Map([...byKey].map(([id, names]) => [id, names.map((row) => alias.parse(row.alias))]));
}

/** By role too: a service may have the name of an operator. */
export const ofService = (service: string) => ({ principal: service, role: 'service' as const });
