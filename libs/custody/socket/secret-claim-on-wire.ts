import { z } from 'zod';
import { keyId, secretId, secretName, secretRotationPolicy, secretType } from '#contract';
import type { SecretClaim } from '#core';
import { messages } from './wire.js';

const claim = z.object({
  ...{ secretId, name: secretName, type: secretType, keyId, tags: z.record(z.string(), z.string()), rotation: secretRotationPolicy },
  mac: z
    .instanceof(Uint8Array)
    .refine(({ length }) => length === 32)
    .transform((bytes) => Uint8Array.from(bytes)),
});

export function encodeSecretClaim({ secretId: id, name, type, keyId: key, tags, rotation, mac }: SecretClaim): Buffer {
  return Buffer.from(messages.pack({ secretId: id, name, type, keyId: key, tags, rotation, mac }));
}

/** Its bytes are the caller's: a frame is wiped. @throws ZodError for anything else, a secret without a rotation policy, too */
export const decodeSecretClaim = (encoded: Uint8Array): SecretClaim => claim.parse(messages.unpack(encoded));
