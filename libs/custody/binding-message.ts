import type { BoundImport, Rebindable, RuleRow, Tombstone, WrappedKeyVersion } from '#core';

/** The first field, so that a MAC over a key version is never one over a rule, or the other way round. */
const FORMAT = {
  keyVersion: 'keyward.key-version/1',
  import: 'keyward.key-import/1',
  rule: 'keyward.rule/1',
  tombstone: 'keyward.tombstone/1',
} as const;

/**
 * What a key version's MAC covers. Every field has its length (u32, big-endian) in front, so that no two rows give the same bytes;
 * everything that says what the key may be used for is in it, because whoever can write SQL could edit that.
 */
export function bindingMessage(version: Omit<WrappedKeyVersion, 'mac'>): Buffer {
  const { tenant, keyId, versionId, spec, usage, origin, protectionLevel, logId, blob, publicKey, imported } = version;
  const texts = [FORMAT.keyVersion, tenant, keyId, versionId, spec, usage, origin, protectionLevel, logId];
  // The origin says whether this field is there.
  const material = imported && [Buffer.from(imported.check).toString('hex'), imported.validTo, imported.inMemory];
  const ofImport = origin === 'EXTERNAL' ? [JSON.stringify(material ?? [])] : [];
  return lengthPrefixed([...texts, ...ofImport, blob, ...(publicKey === undefined ? [] : [publicKey])]);
}

/** What the MAC of an import covers: for which version of which key, by which wrapping key, until when. */
export function importMessage(bound: Omit<BoundImport, 'mac'>): Buffer {
  const { tenant, importToken, keyId, versionId, spec, usage, logId, algorithm, expiresAt, blob } = bound;
  return lengthPrefixed([FORMAT.import, tenant, importToken, keyId, versionId, spec, usage, logId, algorithm, String(expiresAt), blob]);
}

/** What a rule's MAC covers: whose it is, what it is, which, and the digest of all it says. */
export const ruleMessage = ({ tenant, kind, id, digest }: RuleRow): Buffer => lengthPrefixed([FORMAT.rule, tenant, kind, id, digest]);

/** What a tombstone's MAC covers: which key is no more. */
export const tombstoneMessage = ({ tenant, keyId }: Pick<Tombstone, 'tenant' | 'keyId'>): Buffer =>
  lengthPrefixed([FORMAT.tombstone, tenant, keyId]);

/** What the MAC of any of these rows covers. */
export function messageOf({ what, row }: Rebindable): Buffer {
  switch (what) {
    case 'rule':
      return ruleMessage(row);
    case 'key-version':
      return bindingMessage(row);
    case 'import':
      return importMessage(row);
    case 'tombstone':
      return tombstoneMessage(row);
  }
}

function lengthPrefixed(fields: readonly (string | Uint8Array)[]): Buffer {
  const bytes = fields.map((field) => (typeof field === 'string' ? Buffer.from(field) : field));
  return Buffer.concat(bytes.flatMap((field) => [lengthOf(field), field]));
}

function lengthOf(field: Uint8Array): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(field.length);
  return length;
}
