import type { EncryptionContext } from './encryption-context.js';

function prefixed(text: string): Buffer {
  const bytes = Buffer.from(text, 'utf8');
  const length = Buffer.allocUnsafe(2);
  length.writeUInt16BE(bytes.length);
  return Buffer.concat([length, bytes]);
}

/**
 * The canonical bytes of a context (docs/formats.md): pairs sorted by the UTF-8 bytes of their names, each name and value behind its
 * u16 big-endian length; no normalisation. Equal contexts, and only these, have equal bytes.
 */
export function canonicalContext(context: EncryptionContext): Uint8Array {
  const pairs = Object.keys(context).map((name) => [prefixed(name), prefixed(context[name]!)] as const);
  pairs.sort(([a], [b]) => Buffer.compare(a.subarray(2), b.subarray(2)));
  return Buffer.concat(pairs.flat());
}

/** What a ciphertext of this tenant binds besides its own header: the tenant's id behind its u16 length, then the context. */
export function boundContext(tenant: string, context: EncryptionContext): Uint8Array {
  return Buffer.concat([prefixed(tenant), canonicalContext(context)]);
}
