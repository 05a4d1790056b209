import type { KeyState } from '#contract';
import type { WrappedKeyVersion } from './ports/custody.js';
import type { StoredKey } from './ports/rules.js';

/** When imported material ends, milliseconds; undefined: never. */
export const endOf = ({ imported }: Pick<WrappedKeyVersion, 'imported'>): number | undefined =>
  imported === undefined || imported.validTo === 0 ? undefined : imported.validTo;

const hasEnded = (version: Pick<WrappedKeyVersion, 'imported'> | undefined, now: number): boolean => {
  const end = version === undefined ? undefined : endOf(version);
  return end !== undefined && end <= now;
};

/** The state of a key as it counts: one whose material has ended waits for an import. */
export const stateOf = (
  { state }: Pick<StoredKey, 'state'>,
  version: Pick<WrappedKeyVersion, 'imported'> | undefined,
  now: number,
): KeyState => ((state === 'Enabled' || state === 'Disabled') && hasEnded(version, now) ? 'PendingImport' : state);
