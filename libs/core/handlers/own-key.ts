import { KeywardError } from '../errors.js';
import type { OperationName } from '#contract';
import { stateOf } from '../imported.js';
import { type Snapshot, type SnapshotKey, UNCHECKED } from '../snapshot.js';

/** A key of the caller's tenant. @throws KeywardError not-found; unavailable, when nobody can tell whether its names are genuine */
export async function ownKey(
  { operation, snapshot, now }: { readonly operation: OperationName; readonly snapshot: Snapshot; readonly now: number },
  reference: string,
): Promise<SnapshotKey> {
  const key = await snapshot.key({ reference });
  if (key === undefined) throw new KeywardError('not-found', 'There is no such key.', { reason: 'unknown-key' });
  // Disabling takes away whatever it is called.
  if (operation !== 'DisableKey') mustBeProven(key);
  return { ...key, state: stateOf(key, key.versions.get(key.primaryVersion), now) };
}

/** Else its names could be forged, and a change would bind them anew. @throws KeywardError unavailable */
export function mustBeProven({ unproven }: SnapshotKey): void {
  if (unproven === true) throw new KeywardError('unavailable', '', { reason: UNCHECKED });
}

/** The same key as it is stored: its state, were its material there. */
export const storedKey = async (snapshot: Snapshot, key: SnapshotKey): Promise<SnapshotKey> =>
  (await snapshot.key({ reference: key.keyId })) ?? key;

export const hasMaterial = ({ versions, primaryVersion }: SnapshotKey): boolean => versions.get(primaryVersion)?.blob.length !== 0;
