import type { KeyDescription } from '#contract';
import { KeywardError } from '../errors.js';
import type { ImportedMaterial } from '../ports/custody.js';
import type { StoredKey } from '../ports/rules.js';
import { keptFor } from './managed-keys.js';

/** What people are told of imported material. */
export function describeMaterial({
  check,
  validTo,
  inMemory,
}: ImportedMaterial): Pick<KeyDescription, 'checkValue' | 'validTo' | 'inMemory'> {
  return {
    checkValue: checkValueOf(check),
    ...(validTo > 0 && { validTo: new Date(validTo).toISOString() }),
    ...(inMemory && { inMemory }),
  };
}

/** 5 bytes: enough to tell keys apart, too few to help anybody guess one. */
export const checkValueOf = (check: Uint8Array): string => Buffer.from(check.subarray(0, 5)).toString('hex');

/** A key as its admins see it. Spec and usage are those of every version. */
export function describeKey(key: Omit<StoredKey, 'versions'>, versions: Iterable<StoredKey['versions'][number]>): KeyDescription {
  const primary = [...versions].find(({ versionId }) => versionId === key.primaryVersion);
  if (primary === undefined) throw new KeywardError('internal', '', { reason: 'key-without-version' });
  const { keyId, state, description, aliases, tags, primaryVersion, createdAt, deletionProtection, deletion } = key;
  const { spec: keySpec, usage: keyUsage, origin, protectionLevel, imported } = primary;
  return {
    ...{ keyId, state, keySpec, keyUsage, origin, protectionLevel, description },
    ...keptFor(aliases),
    ...{ aliases: [...aliases], tags: { ...tags }, primaryVersion, createdAt: createdAt.toISOString(), deletionProtection },
    ...(imported && describeMaterial(imported)),
    ...(key.exhausted === true && { exhausted: true as const }),
    ...(deletion && { deletionAt: deletion.at.toISOString() }),
  };
}
