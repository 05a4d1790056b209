import { type DataSource, IsNull } from 'typeorm';
import type { StopId, TenantId } from '#contract';
import type { Seals } from '#core';
import { databaseUnavailable } from './database-error.js';
import { StopEntity } from './rule-entities.js';
import { changeTransaction } from './tenant-transaction.js';

/** Binding MACs that could not be had when their row was written. Changes no rule's meaning, so it leaves no record. */
export class DatabaseSeals implements Seals {
  constructor(private readonly source: DataSource) {}

  /** One that is there is never replaced. `mac` is 32 bytes. May be repeated. @throws KeywardError unavailable */
  async sealStop(tenant: TenantId, stopId: StopId, mac: Uint8Array): Promise<void> {
    const open = { tenantId: tenant, stopId, mac: IsNull() };
    try {
      await changeTransaction(
        this.source,
        tenant,
        async (manager) => {
          await manager.update(StopEntity, open, { mac: Buffer.from(mac) });
        },
        () => `SELECT 'sealed'`,
      );
    } catch (error) {
      throw databaseUnavailable(error);
    }
  }
}
