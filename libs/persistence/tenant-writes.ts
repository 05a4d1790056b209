import { type EntityManager, type EntitySchema, IsNull, type ObjectLiteral, type QueryDeepPartialEntity } from 'typeorm';
import {
  type Alias,
  type CredentialId,
  type GrantedOperation,
  type ImportToken,
  type KeyId,
  type LongOperation,
  type LongOperationId,
  PLATFORM,
  type PolicyDraftAnswer,
  type QuotaName,
  type ServiceName,
  type SinkAnswer,
  type SinkId,
  type StopAnswer,
  type SuspensionAnswer,
  type TenantId,
} from '#contract';
import {
  type BegunOffBoarding,
  type BoundImport,
  type KeyChange,
  KeywardError,
  type NewCredential,
  type NewLogKey,
  type NewTenant,
  type SinkChange,
  StaleSnapshot,
  type PersonalFields,
  type StoredIdentityProvider,
  type StoredKey,
  type StoredPolicy,
  type StoredRotation,
  type WrappedKeyVersion,
  type Writes,
} from '#core';
import { writing } from './database-error.js';
import { ofService } from './lists.js';
import { erasePersonalFields } from './personal-fields.js';
import { moveRotation, putRotation } from './key-rotations.js';
import { insertLogKey } from './log-keys.js';
import { agreeToOffBoarding, beginOffBoarding, cancelOffBoarding, holdRoot } from './off-boardings.js';
import { setQuota, takeQuota } from './quotas.js';
import { pruneBelow, setRetention } from './retention.js';
import {
  AliasEntity,
  CmkEntity,
  CredentialEntity,
  IdentityProviderEntity,
  KeyImportEntity,
  KeyVersionEntity,
  ServiceEntity,
  SuspensionEntity,
  TenantEntity,
} from './entities.js';
import { PolicyDraftEntity, PolicyEntity, StopEntity } from './rule-entities.js';
import { RewrapEntity } from './rewrap-entity.js';
import { TenantSecretWrites } from './secret-writes.js';
import { SinkEntity } from './sink-entity.js';

const absent = (thing: string) => new KeywardError('not-found', `There is no such ${thing}.`);

/** The writes of one change, in its transaction. Rows of another tenant are refused by row-level security whatever is asked here. */
export class TenantWrites implements Writes {
  readonly secrets: TenantSecretWrites;

  constructor(
    private readonly manager: EntityManager,
    private readonly tenantId: TenantId,
  ) {
    this.secrets = new TenantSecretWrites(manager, tenantId);
  }

  async insertTenant({ tenant, displayName, contextSalt, createdAt, log, enrolment }: NewTenant): Promise<void> {
    const row = [tenant, displayName, 'Pending', Buffer.from(contextSalt), createdAt, log.logId, log.origin, log.vkey];
    const { credentialId, principal, role, mac, createdAt: issuedAt, expiresAt, bindingMac } = enrolment;
    const code = [credentialId, principal, role, Buffer.from(mac), issuedAt, expiresAt, Buffer.from(bindingMac)];
    const places = [...row, ...code].map((_, index) => `$${index + 1}`).join(', ');
    await writing(`tenant ${tenant}`, () => this.manager.query(`SELECT keyward.onboard_tenant(${places})`, [...row, ...code]));
  }

  async activateTenant(): Promise<void> {
    await writing('tenant', () => this.manager.update(TenantEntity, { tenantId: this.tenantId }, { state: 'Active' }));
  }

  async erasePersonalFields(chosen: PersonalFields, expected: number): Promise<void> {
    await writing('personal fields', () => erasePersonalFields(this.manager, this.tenantId, chosen, expected));
    // Changes nothing but the epoch: planes may know salts that are gone now, and no record may carry them.
    await this.activateTenant();
  }

  async insertService(service: Parameters<Writes['insertService']>[0]): Promise<void> {
    await writing(`service ${service.service}`, () =>
      this.manager.insert(ServiceEntity, { tenantId: this.tenantId, ...service, suspended: false }),
    );
  }

  async setServiceOperations(service: ServiceName, operations: readonly GrantedOperation[]): Promise<void> {
    await this.changeService(service, { operations: [...operations] });
  }

  async setServiceSuspended(service: ServiceName, suspended: boolean): Promise<void> {
    await this.changeService(service, { suspended });
  }

  async putSuspension({ tenant, reason, suspendedBy, suspendedAt }: SuspensionAnswer): Promise<void> {
    const row = { tenantId: this.tenantId, suspendedTenant: tenant, reason, suspendedBy, suspendedAt: new Date(suspendedAt) };
    await writing('suspension', () => this.put(SuspensionEntity, row));
  }

  async deleteSuspension(tenant: TenantId): Promise<void> {
    const which = { tenantId: this.tenantId, suspendedTenant: tenant };
    const { affected } = await writing('suspension', () => this.manager.delete(SuspensionEntity, which)).catch(restsOnIt);
    if (affected === 0) throw absent('suspension');
  }

  async setQuota(tenant: TenantId, quota: QuotaName, limit: number | undefined): Promise<void> {
    await setQuota(this.manager, tenant, quota, limit);
  }

  async agreeToOffBoarding(by: string, at: Date): Promise<void> {
    await agreeToOffBoarding(this.manager, this.tenantId, by, at);
  }

  async beginOffBoarding(begun: BegunOffBoarding): Promise<void> {
    await beginOffBoarding(this.manager, begun);
  }

  async cancelOffBoarding(tenant: TenantId): Promise<void> {
    await cancelOffBoarding(this.manager, tenant);
  }

  async insertCredential({ tenant, mac, bindingMac, subject, issuer, publicKey, ...credential }: NewCredential): Promise<void> {
    if (credential.role !== 'enrolment') await takeQuota(this.manager, 'credentials');
    const proof = { subject: subject ?? null, issuer: issuer ?? null, publicKey: publicKey ?? null };
    const macs = { mac: Buffer.from(mac), bindingMac: Buffer.from(bindingMac) };
    await writing('credential', () => this.manager.insert(CredentialEntity, { tenantId: tenant, ...credential, ...proof, ...macs }));
  }

  async revokeCredential(id: CredentialId, at: Date, service?: string): Promise<void> {
    await writing('credential', async () => {
      const which = { tenantId: this.tenantId, credentialId: id, ...(service !== undefined && ofService(service)) };
      const { affected } = await this.manager.update(CredentialEntity, { ...which, revokedAt: IsNull() }, { revokedAt: at });
      if (affected === 0 && !(await this.manager.existsBy(CredentialEntity, which))) throw absent('credential');
    });
  }

  async insertKey({ versions, aliases, rotation: _rotation, unproven: _, ...key }: StoredKey): Promise<void> {
    await takeQuota(this.manager, 'keys');
    await writing('key', async () => {
      await this.manager.insert(CmkEntity, { tenantId: this.tenantId, ...cmkColumns(key) });
      await this.manager.insert(KeyVersionEntity, versions.map(versionRow));
    });
    for (const alias of aliases) await this.insertAlias(alias, key.keyId);
  }

  async updateKey(keyId: KeyId, change: KeyChange): Promise<void> {
    const which = { tenantId: this.tenantId, keyId };
    const { affected } = await writing('key', () => this.manager.update(CmkEntity, which, cmkColumns(change)));
    if (affected === 0) throw absent('key');
    if (change.primaryVersion !== undefined) await moveRotation(this.manager, which, change.primaryVersion);
  }

  async putRotation(keyId: KeyId, rotation: StoredRotation, nextAt: Date | undefined): Promise<void> {
    await overtaken('Another version was published.', () =>
      writing('rotation policy', () => putRotation(this.manager, { tenantId: this.tenantId, keyId }, rotation, nextAt)),
    );
  }

  async beginRootRotation(root: number, at: Date): Promise<void> {
    const text = `INSERT INTO keyward.tenant_root AS r (tenant_id, root, started_at)
      SELECT $1, $2::integer, $3::timestamptz WHERE NOT EXISTS (SELECT FROM keyward.off_boarding o WHERE o.tenant_id = $1 AND o.step <> 'Agreed')
      ON CONFLICT (tenant_id) DO UPDATE SET root = excluded.root, started_at = excluded.started_at, rewrapped = false, ended_at = NULL
        WHERE r.ended_at IS NOT NULL AND r.root = excluded.root - 1
      RETURNING 1`;
    const rows: unknown[] = await writing('root', async () => {
      await holdRoot(this.manager, this.tenantId);
      return await this.manager.query(text, [this.tenantId, root, at]);
    });
    if (rows.length === 0) throw new KeywardError('state-unchangeable', "A rotation, or the tenant's off-boarding, is under way.");
  }

  async beginBindingRotation(number: number): Promise<void> {
    const text = `INSERT INTO keyward.binding_key AS b (tenant_id, number, started_at) VALUES ($1, $2, clock_timestamp())
      ON CONFLICT (tenant_id) DO UPDATE SET number = excluded.number, started_at = excluded.started_at, rebound = false, broken = 0,
          retire_mac = NULL, ended_at = NULL
        WHERE b.ended_at IS NOT NULL AND b.number = excluded.number - 1
      RETURNING 1`;
    const rows: unknown[] = await writing('binding key', () => this.manager.query(text, [this.tenantId, number]));
    if (rows.length === 0) throw new KeywardError('state-unchangeable', 'A rotation is under way.');
  }

  async retireBindingKey(number: number, mac: Uint8Array): Promise<void> {
    const text = `UPDATE keyward.binding_key SET retire_mac = $3 WHERE tenant_id = $1 AND number = $2 AND rebound AND ended_at IS NULL RETURNING 1`;
    const [rows]: [unknown[]] = await writing('binding key', () => this.manager.query(text, [this.tenantId, number, Buffer.from(mac)]));
    if (rows.length === 0) throw new KeywardError('state-unchangeable', 'Not everything is bound by the newer key.');
  }

  async insertKeyVersion(version: WrappedKeyVersion): Promise<void> {
    await writing('key version', () => this.manager.insert(KeyVersionEntity, versionRow(version)));
  }

  async putMaterial(version: WrappedKeyVersion, retiredAsOf?: number): Promise<void> {
    const which = { tenantId: this.tenantId, versionId: version.versionId };
    const { protectionLevel } = version;
    const retired = retiredAsOf === undefined ? {} : { retiredAsOf: String(retiredAsOf) };
    const { affected } = await writing('key version', () =>
      this.manager.update(KeyVersionEntity, which, { protectionLevel, ...materialColumns(version), ...retired }),
    );
    if (affected === 0) throw absent('key version');
  }

  async insertImport({ tenant, expiresAt, blob, mac, ...bound }: BoundImport): Promise<void> {
    const row = { tenantId: tenant, ...bound, expiresAt: new Date(expiresAt), blob: Buffer.from(blob), mac: Buffer.from(mac) };
    await writing('import', () => this.manager.insert(KeyImportEntity, row));
  }

  async spendImport(importToken: ImportToken, at: Date): Promise<void> {
    const unused = { tenantId: this.tenantId, importToken, usedAt: IsNull() };
    // Its wrapping key would open what came under it for as long as the root lives, also after the key's end.
    const spent = { usedAt: at, blob: Buffer.alloc(0) };
    const { affected } = await writing('import', () => this.manager.update(KeyImportEntity, unused, spent));
    if (affected === 0) throw new KeywardError('precondition-failed', 'The import token was used.');
  }

  async insertAlias(alias: Alias, keyId: KeyId): Promise<void> {
    await takeQuota(this.manager, 'aliases');
    await writing(alias, () => this.manager.insert(AliasEntity, { tenantId: this.tenantId, alias, keyId }));
  }

  async moveAlias(alias: Alias, keyId: KeyId): Promise<void> {
    const which = { tenantId: this.tenantId, alias };
    const { affected } = await writing(alias, () => this.manager.update(AliasEntity, which, { keyId }));
    if (affected === 0) throw absent('alias');
  }

  async deleteAlias(alias: Alias): Promise<void> {
    const { affected } = await writing(alias, () => this.manager.delete(AliasEntity, { tenantId: this.tenantId, alias }));
    if (affected === 0) throw absent('alias');
  }

  async insertPolicy({ publishedAt, mac, ...policy }: StoredPolicy): Promise<void> {
    const row = { tenantId: this.tenantId, ...policy, publishedAt: new Date(publishedAt), mac: Buffer.from(mac) };
    // Somebody published between the reader's If-Match and this.
    await overtaken('Another version was published.', () => writing('policy', () => this.manager.insert(PolicyEntity, row)));
  }

  async putPolicyDraft({ digest, author, savedAt, document }: PolicyDraftAnswer): Promise<void> {
    const row = { tenantId: this.tenantId, digest, author, savedAt: new Date(savedAt), document };
    await writing('draft', () => this.put(PolicyDraftEntity, row));
  }

  async deletePolicyDraft(): Promise<void> {
    await writing('draft', () => this.manager.delete(PolicyDraftEntity, { tenantId: this.tenantId }));
  }

  async putIdentityProvider({ algorithms, changedAt, mac, ...provider }: StoredIdentityProvider): Promise<void> {
    const row = {
      tenantId: this.tenantId,
      ...provider,
      algorithms: [...algorithms],
      changedAt: new Date(changedAt),
      mac: Buffer.from(mac),
    };
    await writing('identity provider', () => this.put(IdentityProviderEntity, row));
  }

  async deleteIdentityProvider(): Promise<void> {
    const { affected } = await writing('identity provider', () => this.manager.delete(IdentityProviderEntity, { tenantId: this.tenantId }));
    if (affected === 0) throw absent('identity provider');
  }

  async setRetention(days: number): Promise<void> {
    await writing('retention', () => setRetention(this.manager, this.tenantId, days));
  }

  async pruneBelow(minIndex: number, exported: Parameters<Writes['pruneBelow']>[1]): Promise<void> {
    await writing('pruning', () => pruneBelow(this.manager, this.tenantId, minIndex, exported));
  }

  async insertLogKey(key: NewLogKey): Promise<void> {
    await writing('the next key of this log', () => insertLogKey(this.manager, this.tenantId, key));
  }

  async insertStop({ stopId, target, reason, stoppedBy, stoppedAt, mac }: Parameters<Writes['insertStop']>[0]): Promise<void> {
    const row = {
      tenantId: this.tenantId,
      stopId,
      target,
      reason,
      stoppedBy,
      stoppedAt: new Date(stoppedAt),
      mac: mac ? Buffer.from(mac) : null,
    };
    await writing('stop', () => this.manager.insert(StopEntity, row));
  }

  async liftStop(id: StopAnswer['stopId'], { by, at, number, mac }: Parameters<Writes['liftStop']>[1]): Promise<void> {
    const active = { tenantId: this.tenantId, stopId: id, liftedAt: IsNull() };
    const lift = { liftedAt: at, liftedBy: by, liftNumber: number, liftMac: Buffer.from(mac) };
    const { affected } = await overtaken('Another stop was lifted at the same time. Try again.', () =>
      writing('stop', () => this.manager.update(StopEntity, active, lift)),
    );
    if (affected === 0) throw absent('stop');
  }

  async insertOperation(
    { operationId, mode, state, keyId, service, itemsPerSecond, createdBy, progress: { population }, ...operation }: LongOperation,
    mac: Uint8Array | undefined,
  ): Promise<void> {
    const { fromVersionId: fromVersion, toVersionId: toVersion, createdAt } = operation;
    const made = { createdBy, createdAt: new Date(createdAt) };
    const of = {
      keyId,
      fromVersion,
      toVersion,
      service: service ?? null,
      itemsPerSecond,
      mode,
      mac: mac === undefined ? null : Buffer.from(mac),
    };
    const counted = { population: population === undefined ? null : String(population) };
    const row = { tenantId: this.tenantId, operationId, state, ...of, ...made, ...counted };
    await writing(`operation of this version for ${service ?? 'secrets'}`, () => this.manager.insert(RewrapEntity, row));
  }

  async cancelOperation(id: LongOperationId): Promise<void> {
    const open = { tenantId: this.tenantId, operationId: id, endedAt: IsNull() };
    const over = { state: 'cancelled' as const, reason: 'cancelled by an admin', endedAt: () => 'clock_timestamp()' };
    const { affected } = await writing('operation', () => this.manager.update(RewrapEntity, open, over));
    if (affected === 0) throw new StaleSnapshot();
  }

  async insertSink({ createdAt, delivery, test: _, publicKey, ...sink }: SinkAnswer, sealed: string | undefined): Promise<void> {
    await takeQuota(this.manager, 'sinks');
    const row = {
      ...{ tenantId: this.tenantId, ...sink, publicKey: publicKey ?? null, sealed: sealed ?? null },
      ...{ createdAt: new Date(createdAt), nextAttemptAt: new Date(createdAt), nextSeq: String(delivery.nextSeq) },
    };
    await writing('sink', () => this.manager.insert(SinkEntity, row));
  }

  async updateSink(id: SinkId, { description, target, sealed, state, nextSeq, testRequestedAt }: SinkChange): Promise<void> {
    const forgotten = { failures: 0, failingSince: null, lastError: null, nextAttemptAt: () => 'clock_timestamp()' };
    const change = {
      ...(description !== undefined && { description }),
      ...(target !== undefined && { target }),
      ...(sealed !== undefined && { sealed }),
      ...(state !== undefined && { state }),
      ...(nextSeq !== undefined && { nextSeq: String(nextSeq) }),
      ...(testRequestedAt !== undefined && { testRequestedAt }),
      ...((state === 'Active' || target !== undefined) && forgotten),
      // Whoever delivers just now does so to what it was before.
      lease: null,
    };
    const which = { tenantId: this.tenantId, sinkId: id };
    const { affected } = await writing('sink', () => this.manager.update(SinkEntity, which, change));
    if (affected === 0) throw absent('sink');
  }

  async deleteSink(id: SinkId): Promise<void> {
    const { affected } = await writing('sink', () => this.manager.delete(SinkEntity, { tenantId: this.tenantId, sinkId: id }));
    if (affected === 0) throw absent('sink');
  }

  /** Inserts, or changes every other column of the row that has this key. */
  private async put<Row extends ObjectLiteral>(entity: EntitySchema<Row>, row: QueryDeepPartialEntity<Row>): Promise<void> {
    const { columns } = this.manager.dataSource.getMetadata(entity);
    const [keys, others] = [columns.filter(({ isPrimary }) => isPrimary), columns.filter(({ isPrimary }) => !isPrimary)];
    const names = (some: typeof columns) => some.map(({ databaseName }) => databaseName);
    await this.manager.createQueryBuilder().insert().into(entity).values(row).orUpdate(names(others), names(keys)).execute();
  }

  private async changeService(service: ServiceName, change: { operations: GrantedOperation[] } | { suspended: boolean }): Promise<void> {
    const which = { tenantId: PLATFORM, service };
    const { affected } = await writing('service', () => this.manager.update(ServiceEntity, which, change));
    if (affected === 0) throw absent('service');
  }
}

/** The row is referred to. */
function restsOnIt(error: unknown): never {
  if (!(error instanceof KeywardError) || error.code !== 'not-found') throw error;
  throw new KeywardError('state-unchangeable', "The tenant's off-boarding rests on it: cancel that first.", { reason: 'off-boarding' });
}

/** What exists already was made by somebody else, since this was decided. @throws KeywardError precondition-failed */
async function overtaken<Answer>(told: string, write: () => Promise<Answer>): Promise<Answer> {
  try {
    return await write();
  } catch (error) {
    throw error instanceof KeywardError && error.code === 'already-exists' ? new KeywardError('precondition-failed', told) : error;
  }
}

/** Only what the change names: a deletion that is named as undefined is none any more. */
function cmkColumns<Change extends KeyChange>(change: Change) {
  const { namesMac, deletion, ...columns } = change;
  return {
    ...('deletion' in change && { deletionAt: deletion?.at ?? null, stateBefore: deletion?.stateBefore ?? null }),
    ...columns,
    ...(namesMac && { namesMac: Buffer.from(namesMac) }),
  };
}

const versionRow = ({ tenant, blob, publicKey, mac, imported, ...version }: WrappedKeyVersion) => ({
  ...{ tenantId: tenant, ...version, ...materialColumns({ blob, publicKey, mac, imported }) },
});

const materialColumns = ({ blob, publicKey, mac, imported }: Pick<WrappedKeyVersion, 'blob' | 'publicKey' | 'mac' | 'imported'>) => ({
  blob: Buffer.from(blob),
  publicKey: publicKey === undefined ? null : Buffer.from(publicKey),
  mac: Buffer.from(mac),
  importCheck: imported === undefined ? null : Buffer.from(imported.check),
  validTo: imported === undefined ? null : String(imported.validTo),
  inMemory: imported === undefined ? null : imported.inMemory,
});
