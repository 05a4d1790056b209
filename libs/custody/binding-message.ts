import type { WrappedKeyVersion } from '#core';

/** The first field, so that a MAC over a key version is never one over something else. */
const FORMAT = 'keyward.key-version/1';

/**
 * What a key version's MAC covers. Every field has its length (u32, big-endian) in front, so that no two rows give the same bytes;
 * everything that says what the key may be used for is in it, because whoever can write SQL could edit that.
 */
export function bindingMessage(version: Omit<WrappedKeyVersion, 'mac'>): Buffer {
  const { tenant, keyId, versionId, spec, usage, origin, protectionLevel, logId, blob } = version;
  const texts = [FORMAT, tenant, keyId, versionId, spec, usage, origin, protectionLevel, logId];
  return Buffer.concat([...texts.map((text) => Buffer.from(text)), blob].flatMap((field) => [lengthOf(field), field]));
}

function lengthOf(field: Uint8Array): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(field.length);
  return length;
}
