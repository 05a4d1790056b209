import { createHash } from 'node:crypto';

/** Signature types of C2SP signed-note. */
const ED25519 = 0x01;
const ECDSA = 0x02;
const ED25519_BYTES = 32;

/**
 * A log's verifier key, `<origin>+<key id>+<base64>` (C2SP signed-note): what an auditor pins. `publicKey` as custody answers it: 32 bytes of
 * Ed25519, or SubjectPublicKeyInfo of P-256, whose id does not depend on the origin.
 */
export function vkeyOf(origin: string, publicKey: Uint8Array): string {
  const isEd25519 = publicKey.length === ED25519_BYTES;
  const typed = Buffer.concat([Uint8Array.of(isEd25519 ? ED25519 : ECDSA), publicKey]);
  const identified = isEd25519 ? Buffer.concat([Buffer.from(`${origin}\n`), typed]) : publicKey;
  const id = createHash('sha256').update(identified).digest().subarray(0, 4).toString('hex');
  return `${origin}+${id}+${typed.toString('base64')}`;
}
