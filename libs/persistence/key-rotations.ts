import { type EntityManager, In } from 'typeorm';
import type { KeyId, KeyVersionId, TenantId } from '#contract';
import { drawnAt, KeywardError, type StoredRotation } from '#core';
import { KeyRotationEntity } from './entities.js';

interface WhichKey {
  readonly tenantId: TenantId;
  readonly keyId: KeyId;
}

/** @throws the driver's error, KeywardError precondition-failed: somebody wrote this version in between */
export async function putRotation(
  manager: EntityManager,
  which: WhichKey,
  { version, intervalDays, mac }: StoredRotation,
  nextAt: Date | undefined,
): Promise<void> {
  const columns = { version, intervalDays: intervalDays ?? null, nextAt: nextAt ?? null, mac: Buffer.from(mac) };
  if (version === 1) return void (await manager.insert(KeyRotationEntity, { ...which, ...columns }));
  const { affected } = await manager.update(KeyRotationEntity, { ...which, version: version - 1 }, columns);
  if (affected === 0) throw new KeywardError('precondition-failed', 'Another version was published.');
}

/** Due again by its interval, from the birth of the version that is primary now. */
export const moveRotation = (manager: EntityManager, { tenantId, keyId }: WhichKey, primary: KeyVersionId): Promise<unknown> =>
  manager.query(
    `UPDATE keyward.key_rotation SET next_at = $3::timestamptz + make_interval(hours => 24 * interval_days)
       WHERE tenant_id = $1 AND key_id = $2 AND interval_days IS NOT NULL`,
    [tenantId, keyId, drawnAt(primary)],
  );

/** Of those keys that have one. */
export async function rotationsOf(
  manager: EntityManager,
  tenantId: TenantId,
  keys: readonly { readonly keyId: KeyId }[],
): Promise<ReadonlyMap<KeyId, Pick<StoredRotation, 'intervalDays'>>> {
  const rows = await manager.findBy(KeyRotationEntity, { tenantId, keyId: In(keys.map(({ keyId }) => keyId)) });
  return new Map(rows.map(({ keyId, intervalDays }) => [keyId, { intervalDays: intervalDays ?? undefined }]));
}
