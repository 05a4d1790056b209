import { isCipherSpec, KeyBindingBroken, keyNamesRow, keyRotationRow } from '#core';
import type { BoundRow, RotationOrder, RuleRow, WrappedKeyVersion } from '#core';
import type { TenantId } from '#contract';

/** An order without its row, which comes as bytes that are cached. */
export type RotationClaim = Omit<RotationOrder, 'primary'>;

/** What has to be bound before a key is rotated: the policy that wants it, and the names by which rules mean the key. */
export const claimedRows = (tenant: TenantId, { key, rotation }: RotationClaim): readonly BoundRow[] => [
  { ...keyRotationRow(tenant, { keyId: key.keyId, ...rotation }), mac: rotation.mac },
  { ...keyNamesRow(tenant, key), mac: key.namesMac },
];

/** The key's names with its next version as the primary one. */
export const namesAfter = (tenant: TenantId, { key, versionId }: RotationClaim): RuleRow =>
  keyNamesRow(tenant, { ...key, primaryVersion: versionId });

/** @throws KeyBindingBroken unless it is the key's primary version that the policy is about, of a kind that is rotated automatically */
export function mustBeWanted({ key, rotation, versionId }: RotationClaim, primary: WrappedKeyVersion): void {
  const itsOwn = primary.keyId === key.keyId && primary.versionId === key.primaryVersion && versionId !== key.primaryVersion;
  const rotates = rotation.intervalDays !== undefined && primary.origin === 'KEYWARD' && isCipherSpec(primary.spec);
  if (!itsOwn || !rotates) throw new KeyBindingBroken(`of a rotation of ${key.keyId}`);
}
