import { createHash } from 'node:crypto';

/** C2SP signed-note, Ed25519. */
const ED25519 = 0x01;

/** A log's verifier key, `<origin>+<key id>+<base64>` (C2SP signed-note): what an auditor pins. `publicKey` is 32 bytes. */
export function vkeyOf(origin: string, publicKey: Uint8Array): string {
  const typed = Buffer.concat([Uint8Array.of(ED25519), publicKey]);
  const id = createHash('sha256').update(`${origin}\n`).update(typed).digest().subarray(0, 4).toString('hex');
  return `${origin}+${id}+${typed.toString('base64')}`;
}
