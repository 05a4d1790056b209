import { base64Bytes } from './bytes.js';

/**
 * Who may be a recipient: public keys of two kinds, by how their SubjectPublicKeyInfo begins (RFC 8410, RFC 5480; points uncompressed).
 * The rest is the public key as HPKE carries it (RFC 9180 §7.1).
 */
export const RECIPIENT_KEYS = {
  X25519: { spki: '302a300506032b656e032100', bytes: 32 },
  'P-256': { spki: '3059301306072a8648ce3d020106082a8648ce3d030107034200', bytes: 65 },
} as const;
export type RecipientKind = keyof typeof RECIPIENT_KEYS;

const KINDS = Object.keys(RECIPIENT_KEYS) as RecipientKind[];

/** Undefined: of no kind that may be a recipient. Whether the point is one of the curve is not known yet. */
export function recipientKindOf(spki: Uint8Array): RecipientKind | undefined {
  const text = Buffer.from(spki).toString('hex');
  return KINDS.find((kind) => text.startsWith(RECIPIENT_KEYS[kind].spki) && spki.length === sizeOf(kind));
}

const sizeOf = (kind: RecipientKind): number => RECIPIENT_KEYS[kind].spki.length / 2 + RECIPIENT_KEYS[kind].bytes;

/** To whom alone a plaintext is answered. */
export const recipient = base64Bytes(1, 1024)
  .refine((spki) => recipientKindOf(spki) !== undefined, 'must be the SubjectPublicKeyInfo (DER) of an X25519 or P-256 public key')
  .meta({
    description:
      'base64 of an X25519 or P-256 public key (SubjectPublicKeyInfo, DER): the plaintext is answered sealed to it (HPKE), and not otherwise',
  });
