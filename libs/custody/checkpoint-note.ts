import { createHash } from 'node:crypto';

const ED25519 = 0x01;
const ED25519_BYTES = 32;
/** A key name holds neither spaces nor '+' (C2SP signed-note); control characters would let an origin carry lines of its own. */
const ORIGIN = /^[^\s+\p{C}]{1,200}$/u;

/**
 * The text under a checkpoint's signature (C2SP tlog-checkpoint): origin, decimal size, base64 root, each with a newline.
 * `root` is 32 bytes.
 * @throws RangeError when an argument could not stand in a checkpoint.
 */
export function checkpointBody(origin: string, size: bigint, root: Uint8Array): string {
  if (!ORIGIN.test(origin)) throw new RangeError('An origin has 1 to 200 characters without spaces and "+".');
  if (size < 0n || size >= 1n << 63n) throw new RangeError('A tree has 0 to 2^63 - 1 records.');
  if (root.length !== 32) throw new RangeError('A root is 32 bytes.');
  return `${origin}\n${size}\n${Buffer.from(root).toString('base64')}\n`;
}

/**
 * A signed note (C2SP signed-note): body, blank line, and for each key `— name base64(key id ‖ signature)`. Ed25519: `publicKey` is 32 bytes,
 * `signature` 64. ECDSA: SubjectPublicKeyInfo and DER. The key's name is the origin.
 */
export function signedNote(
  origin: string,
  body: string,
  by: readonly { readonly publicKey: Uint8Array; readonly signature: Uint8Array }[],
): string {
  const lines = by.map(({ publicKey, signature }) => {
    const signed = Buffer.concat([noteKeyId(origin, publicKey), signature]);
    return `— ${origin} ${signed.toString('base64')}\n`;
  });
  return `${body}\n${lines.join('')}`;
}

/** First 4 bytes of SHA-256(name ‖ '\n' ‖ 01 ‖ public key) for Ed25519, of SHA-256(SubjectPublicKeyInfo) for ECDSA (C2SP signed-note). */
export function noteKeyId(name: string, publicKey: Uint8Array): Uint8Array {
  if (publicKey.length !== ED25519_BYTES) return createHash('sha256').update(publicKey).digest().subarray(0, 4);
  const typed = Buffer.concat([Buffer.from(`${name}\n`), Uint8Array.of(ED25519), publicKey]);
  return createHash('sha256').update(typed).digest().subarray(0, 4);
}
