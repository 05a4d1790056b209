import type { KeyDescription } from '#contract';
import { KeywardError } from '../errors.js';
import type { StoredKey } from '../ports/rules.js';

/** A key as its admins see it. Spec and usage are those of every version. */
export function describeKey(key: Omit<StoredKey, 'versions'>, versions: Iterable<StoredKey['versions'][number]>): KeyDescription {
  const primary = [...versions].find(({ versionId }) => versionId === key.primaryVersion);
  if (primary === undefined) throw new KeywardError('internal', '', { reason: 'key-without-version' });
  const { keyId, state, description, aliases, tags, primaryVersion, createdAt, deletionProtection, deletion } = key;
  const { spec: keySpec, usage: keyUsage, origin, protectionLevel } = primary;
  return {
    ...{ keyId, state, keySpec, keyUsage, origin, protectionLevel, description },
    ...{ aliases: [...aliases], tags: { ...tags }, primaryVersion, createdAt: createdAt.toISOString(), deletionProtection },
    ...(deletion && { deletionAt: deletion.at.toISOString() }),
  };
}
