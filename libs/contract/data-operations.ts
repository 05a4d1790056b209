import { z } from 'zod';
import { base64Bytes } from './bytes.js';
import { encryptionContext } from './encryption-context.js';
import { keyId, keyReference, keyVersionId } from './identifiers.js';
import { justification } from './policy.js';

export const MAX_DIRECT_PLAINTEXT_BYTES = 6144;
export const MAX_DATA_KEY_BYTES = 1024;
/** An SDK holds no data key for longer; a stop reaches what it holds only then. */
export const LONGEST_DATA_KEY_LEASE_MS = 300_000;
/** Header, IV and tag around the longest direct plaintext, or the longest data key (core/ciphertext.ts). */
export const MAX_CIPHERTEXT_BYTES = MAX_DIRECT_PLAINTEXT_BYTES + 49;

/** What every cryptographic operation takes. */
const asked = {
  justification: justification.optional().meta({ description: 'why; some grants ask for it' }),
  dryRun: z.boolean().optional().meta({ description: 'answer only whether the call would be allowed: no key is used' }),
};

export const encryptRequest = z
  .strictObject({
    keyId: keyReference,
    plaintext: base64Bytes(1, MAX_DIRECT_PLAINTEXT_BYTES).meta({ description: 'base64 of 1 to 6144 bytes' }),
    encryptionContext: encryptionContext.optional(),
    ...asked,
  })
  .meta({ id: 'EncryptRequest' });
export type EncryptRequest = z.infer<typeof encryptRequest>;

export const decryptRequest = z
  .strictObject({
    ciphertext: base64Bytes(50, MAX_CIPHERTEXT_BYTES).meta({ description: 'base64 of what Encrypt or GenerateDataKey answered' }),
    encryptionContext: encryptionContext.optional(),
    ...asked,
    keyId: keyReference.optional().meta({ description: 'an assertion: refuse unless this key made the ciphertext' }),
  })
  .meta({ id: 'DecryptRequest' });
export type DecryptRequest = z.infer<typeof decryptRequest>;

export const generateDataKeyRequest = z
  .strictObject({
    keyId: keyReference,
    encryptionContext: encryptionContext.optional(),
    ...asked,
    keySpec: z.enum(['AES_256', 'AES_128']).optional().meta({ description: 'default AES_256; instead of numberOfBytes' }),
    numberOfBytes: z.int().min(1).max(MAX_DATA_KEY_BYTES).optional(),
  })
  .refine((request) => request.keySpec === undefined || request.numberOfBytes === undefined, {
    path: ['numberOfBytes'],
    message: 'give keySpec or numberOfBytes, not both',
  })
  .meta({ id: 'GenerateDataKeyRequest' });
export type GenerateDataKeyRequest = z.infer<typeof generateDataKeyRequest>;

/** Which key answered. The wire forms carry base64 where these carry bytes (http/answer-body.ts). */
const usedKey = { keyId, keyVersionId };
const base64Text = z.string().meta({ contentEncoding: 'base64' });

export const dryRunAnswer = z.object({ ...usedKey, dryRun: z.literal(true) }).meta({ id: 'DryRunAnswer' });
export const ciphertextAnswer = z.object({ ...usedKey, ciphertext: base64Text }).meta({ id: 'CiphertextAnswer' });
export const plaintextAnswer = z.object({ ...usedKey, plaintext: base64Text }).meta({ id: 'PlaintextAnswer' });
export const dataKeyAnswer = z.object({ ...usedKey, ciphertext: base64Text, plaintext: base64Text }).meta({ id: 'DataKeyAnswer' });
