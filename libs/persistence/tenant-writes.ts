import { type EntityManager, IsNull } from 'typeorm';
import type { Alias, CredentialId, KeyId, KeyState, PolicyAnswer, ServiceName, StopAnswer, TenantId } from '#contract';
import { KeywardError, type NewCredential, type NewTenant, type StoredKey, type WrappedKeyVersion, type Writes } from '#core';
import { writing } from './database-error.js';
import { ofService } from './lists.js';
import {
  AliasEntity,
  CmkEntity,
  CredentialEntity,
  KeyVersionEntity,
  PolicyEntity,
  ServiceEntity,
  StopEntity,
  TenantEntity,
} from './entities.js';

const absent = (thing: string) => new KeywardError('not-found', `There is no such ${thing}.`);

/** The writes of one change, in its transaction. Rows of another tenant are refused by row-level security whatever is asked here. */
export class TenantWrites implements Writes {
  constructor(
    private readonly manager: EntityManager,
    private readonly tenantId: TenantId,
  ) {}

  async insertTenant({ tenant, displayName, contextSalt, createdAt, log, enrolment }: NewTenant): Promise<void> {
    const row = [tenant, displayName, 'Pending', Buffer.from(contextSalt), createdAt, log.logId, log.origin, log.vkey];
    const code = [enrolment.credentialId, enrolment.principal, enrolment.role, Buffer.from(enrolment.mac), enrolment.expiresAt];
    const places = [...row, ...code].map((_, index) => `$${index + 1}`).join(', ');
    await writing(`tenant ${tenant}`, () => this.manager.query(`SELECT keyward.onboard_tenant(${places})`, [...row, ...code]));
  }

  async activateTenant(): Promise<void> {
    await writing('tenant', () => this.manager.update(TenantEntity, { tenantId: this.tenantId }, { state: 'Active' }));
  }

  async insertService({ service, description, createdAt }: { service: ServiceName; description: string; createdAt: Date }): Promise<void> {
    await writing(`service ${service}`, () =>
      this.manager.insert(ServiceEntity, { tenantId: this.tenantId, service, description, createdAt }),
    );
  }

  async insertCredential({ tenant, mac, ...credential }: NewCredential): Promise<void> {
    await writing('credential', () => this.manager.insert(CredentialEntity, { tenantId: tenant, mac: Buffer.from(mac), ...credential }));
  }

  async revokeCredential(id: CredentialId, at: Date, service?: string): Promise<void> {
    await writing('credential', async () => {
      const which = { tenantId: this.tenantId, credentialId: id, ...(service !== undefined && ofService(service)) };
      const { affected } = await this.manager.update(CredentialEntity, { ...which, revokedAt: IsNull() }, { revokedAt: at });
      if (affected === 0 && !(await this.manager.existsBy(CredentialEntity, which))) throw absent('credential');
    });
  }

  async insertKey({ keyId, state, description, tags, primaryVersion, createdAt, versions, aliases }: StoredKey): Promise<void> {
    const { tenantId } = this;
    await writing('key', async () => {
      await this.manager.insert(CmkEntity, { tenantId, keyId, state, description, tags, primaryVersion, createdAt });
      await this.manager.insert(KeyVersionEntity, versions.map(versionRow));
    });
    for (const alias of aliases) await this.insertAlias(alias, keyId);
  }

  async setKeyState(id: KeyId, state: KeyState): Promise<void> {
    const { affected } = await writing('key', () => this.manager.update(CmkEntity, { tenantId: this.tenantId, keyId: id }, { state }));
    if (affected === 0) throw absent('key');
  }

  async insertAlias(alias: Alias, keyId: KeyId): Promise<void> {
    await writing(alias, () => this.manager.insert(AliasEntity, { tenantId: this.tenantId, alias, keyId }));
  }

  async insertPolicy({ publishedAt, ...policy }: PolicyAnswer): Promise<void> {
    try {
      await writing('policy', () =>
        this.manager.insert(PolicyEntity, { tenantId: this.tenantId, publishedAt: new Date(publishedAt), ...policy }),
      );
    } catch (error) {
      // Somebody published between the reader's If-Match and this.
      if (error instanceof KeywardError && error.code === 'already-exists')
        throw new KeywardError('precondition-failed', 'Another version was published.');
      throw error;
    }
  }

  async insertStop({ stopId, target, reason, stoppedBy, stoppedAt }: StopAnswer): Promise<void> {
    const row = { tenantId: this.tenantId, stopId, target, reason, stoppedBy, stoppedAt: new Date(stoppedAt) };
    await writing('stop', () => this.manager.insert(StopEntity, row));
  }

  async liftStop(id: StopAnswer['stopId'], by: string, at: Date): Promise<void> {
    const active = { tenantId: this.tenantId, stopId: id, liftedAt: IsNull() };
    const { affected } = await writing('stop', () => this.manager.update(StopEntity, active, { liftedAt: at, liftedBy: by }));
    if (affected === 0) throw absent('stop');
  }
}

const versionRow = ({ tenant, blob, mac, ...version }: WrappedKeyVersion) => ({
  tenantId: tenant,
  blob: Buffer.from(blob),
  mac: Buffer.from(mac),
  ...version,
});
