import type { KeyRotation, KeyVersionId } from '#contract';
import { isCipherSpec } from './ciphertext.js';
import { InvalidRequest } from './errors.js';
import { drawnAt } from './identifiers.js';
import type { TenantRules } from './ports/rules.js';
import type { SnapshotKey } from './snapshot.js';

const DAY_MS = 86_400_000;

/** The newest version's birth and the interval: a version that was asked for in between counts. */
export const nextRotation = (primaryVersion: KeyVersionId, intervalDays: number): Date =>
  new Date(drawnAt(primaryVersion).getTime() + intervalDays * DAY_MS);

/** Its older versions go on opening what they sealed, because every ciphertext names its version. @throws InvalidRequest for a key without that */
export function mustRotateByItself({ versions, primaryVersion }: Pick<SnapshotKey, 'versions' | 'primaryVersion'>): void {
  const primary = versions.get(primaryVersion);
  const no = (why: string) => new InvalidRequest([{ field: 'keyId', message: `is not rotated automatically: ${why}` }]);
  if (primary?.origin === 'EXTERNAL') throw no('it has imported material; import its next version');
  if (primary?.publicKey !== undefined) throw no('whoever has its public key would have to learn of the next one');
  if (primary === undefined || !isCipherSpec(primary.spec)) throw no('its MACs do not name the version that verifies them');
}

/** What keeps a key from being rotated now, whatever its policy. */
export function suspendedBy(
  { stops, suspended }: Pick<TenantRules, 'stops' | 'suspended'>,
  { keyId, state }: Pick<SnapshotKey, 'keyId' | 'state'>,
): KeyRotation['suspendedBy'] {
  if (state !== 'Enabled') return 'key-state';
  if (stops.some(({ target }) => target.scope === 'everything' || (target.scope === 'key' && target.keyId === keyId))) return 'stop';
  return suspended ? 'tenant-suspended' : undefined;
}

/** A key's rotation as its admins see it. */
export function describeRotation(
  rules: Pick<TenantRules, 'stops' | 'suspended'>,
  key: Pick<SnapshotKey, 'keyId' | 'state' | 'primaryVersion' | 'rotation'>,
): KeyRotation {
  const { version = 0, intervalDays } = key.rotation ?? {};
  if (intervalDays === undefined) return { version, status: 'Disabled' };
  const by = suspendedBy(rules, key);
  return {
    ...{ version, status: by === undefined ? 'Enabled' : 'Suspended', intervalDays },
    nextRotationAt: nextRotation(key.primaryVersion, intervalDays).toISOString(),
    ...(by !== undefined && { suspendedBy: by }),
  };
}
