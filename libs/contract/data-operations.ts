import { z } from 'zod';
import { base64Bytes, rawBytes } from './bytes.js';
import { encryptionContext } from './encryption-context.js';
import { framedItems } from './framed-items.js';
import { keyId, keyReference, keyVersionId } from './identifiers.js';
import { answeredLease } from './lease.js';
import { justification } from './policy.js';
import { problem } from './problem.js';
import { recipient } from './recipient.js';

export const MAX_DIRECT_PLAINTEXT_BYTES = 6144;
export const MAX_DATA_KEY_BYTES = 1024;
export const MAX_RANDOM_BYTES = 1024;
/** Header, IV and tag around the longest direct plaintext, or the longest data key (core/ciphertext.ts). */
export const MAX_CIPHERTEXT_BYTES = MAX_DIRECT_PLAINTEXT_BYTES + 49;

/** What every cryptographic operation takes. */
export const asked = {
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
    recipient: recipient.optional(),
  })
  .meta({ id: 'DecryptRequest' });
export type DecryptRequest = z.infer<typeof decryptRequest>;

const dataKeyRequest = z.strictObject({
  keyId: keyReference,
  encryptionContext: encryptionContext.optional(),
  ...asked,
  keySpec: z.enum(['AES_256', 'AES_128']).optional().meta({ description: 'default AES_256; instead of numberOfBytes' }),
  numberOfBytes: z.int().min(1).max(MAX_DATA_KEY_BYTES).optional(),
});
const ofOneLength = <Request extends z.ZodType<z.infer<typeof dataKeyRequest>>>(request: Request) =>
  request.refine(({ keySpec, numberOfBytes }) => keySpec === undefined || numberOfBytes === undefined, {
    path: ['numberOfBytes'],
    message: 'give keySpec or numberOfBytes, not both',
  });

export const generateDataKeyRequest = ofOneLength(dataKeyRequest.extend({ recipient: recipient.optional() })).meta({
  id: 'GenerateDataKeyRequest',
});
export type GenerateDataKeyRequest = z.infer<typeof generateDataKeyRequest>;

export const generateDataKeyWithoutPlaintextRequest = ofOneLength(dataKeyRequest).meta({ id: 'GenerateDataKeyWithoutPlaintextRequest' });
export type GenerateDataKeyWithoutPlaintextRequest = z.infer<typeof generateDataKeyWithoutPlaintextRequest>;

export const reEncryptRequest = z
  .strictObject({
    ciphertext: base64Bytes(50, MAX_CIPHERTEXT_BYTES).meta({ description: 'base64 of what Encrypt or GenerateDataKey answered' }),
    sourceEncryptionContext: encryptionContext.optional(),
    sourceKeyId: keyReference.optional().meta({ description: 'an assertion: refuse unless this key made the ciphertext' }),
    destinationKeyId: keyReference,
    destinationEncryptionContext: encryptionContext.optional(),
    ...asked,
  })
  .meta({ id: 'ReEncryptRequest' });
export type ReEncryptRequest = z.infer<typeof reEncryptRequest>;

/** As frames carry them (frames.ts): what is base64 in JSON stands behind it as bytes. */
export const encryptFrame = encryptRequest.omit({ plaintext: true }).extend({ plaintext: rawBytes(1, MAX_DIRECT_PLAINTEXT_BYTES) });
export const decryptFrame = decryptRequest.omit({ ciphertext: true }).extend({ ciphertext: rawBytes(50, MAX_CIPHERTEXT_BYTES) });
/** Which field of a request, and of an answer, these bytes are. */
export const FRAMED = {
  Encrypt: { request: 'plaintext', answer: 'ciphertext' },
  Decrypt: { request: 'ciphertext', answer: 'plaintext' },
  GenerateDataKey: { request: undefined, answer: 'plaintext' },
  GenerateRandom: { request: undefined, answer: 'plaintext' },
} as const;

/** Of one batch: items, and bytes of the request's body. */
export const MAX_BATCH_ITEMS = 500;
export const MAX_BATCH_BYTES = 1024 * 1024;

/** Only the number of items counts for the whole; each is parsed by itself, so that a bad one fails alone. */
const batchOf = <Item extends z.ZodType>(name: string, item: Item, reader = () => (value: unknown) => item.safeParse(value)) =>
  z.strictObject({
    items: z
      .array(z.unknown().meta({ $ref: `#/components/schemas/${name}Request` }))
      .min(1)
      .max(MAX_BATCH_ITEMS)
      .transform((items) => items.map(reader())),
  });

export const encryptBatchRequest = batchOf('Encrypt', encryptRequest).meta({ id: 'EncryptBatchRequest' });
export type EncryptBatchRequest = z.infer<typeof encryptBatchRequest>;
export const decryptBatchRequest = batchOf('Decrypt', decryptRequest).meta({ id: 'DecryptBatchRequest' });
export type DecryptBatchRequest = z.infer<typeof decryptBatchRequest>;
export const generateDataKeyBatchRequest = batchOf('GenerateDataKey', generateDataKeyRequest).meta({ id: 'GenerateDataKeyBatchRequest' });
export type GenerateDataKeyBatchRequest = z.infer<typeof generateDataKeyBatchRequest>;
export const encryptBatchFrame = batchOf('Encrypt', encryptFrame, () => framedItems(encryptFrame, 'plaintext'));
export const decryptBatchFrame = batchOf('Decrypt', decryptFrame, () => framedItems(decryptFrame, 'ciphertext'));
export const reEncryptBatchRequest = batchOf('ReEncrypt', reEncryptRequest).meta({ id: 'ReEncryptBatchRequest' });
export type ReEncryptBatchRequest = z.infer<typeof reEncryptBatchRequest>;
export const MAX_MAC_MESSAGE_BYTES = 4096;
const macMessage = base64Bytes(1, MAX_MAC_MESSAGE_BYTES).meta({ description: 'base64 of 1 to 4096 bytes' });

export const generateMacRequest = z.strictObject({ keyId: keyReference, message: macMessage, ...asked }).meta({ id: 'GenerateMacRequest' });
export type GenerateMacRequest = z.infer<typeof generateMacRequest>;

export const verifyMacRequest = z
  .strictObject({
    keyId: keyReference,
    keyVersionId: keyVersionId.optional().meta({ description: 'the version that made the MAC; default: the primary one' }),
    message: macMessage,
    mac: base64Bytes(1, 64).meta({ description: 'base64 of what GenerateMac answered' }),
    ...asked,
  })
  .meta({ id: 'VerifyMacRequest' });
export type VerifyMacRequest = z.infer<typeof verifyMacRequest>;

/** Of no key: a grant for every key (`*`) is what it needs. */
export const generateRandomRequest = z
  .strictObject({ numberOfBytes: z.int().min(1).max(MAX_RANDOM_BYTES), ...asked })
  .meta({ id: 'GenerateRandomRequest' });
export type GenerateRandomRequest = z.infer<typeof generateRandomRequest>;

/** Which key answered. The wire forms carry base64 where these carry bytes (http/answer-body.ts). */
export const usedKey = { keyId, keyVersionId };
export const base64Text = z.string().meta({ contentEncoding: 'base64' });

export const randomAnswer = z.object({ plaintext: base64Text }).meta({ id: 'RandomAnswer' });
export const keylessDryRunAnswer = z.object({ dryRun: z.literal(true) }).meta({ id: 'KeylessDryRunAnswer' });

export const dryRunAnswer = z.object({ ...usedKey, dryRun: z.literal(true) }).meta({ id: 'DryRunAnswer' });
export const ciphertextAnswer = z.object({ ...usedKey, ciphertext: base64Text }).meta({ id: 'CiphertextAnswer' });
export const plaintextAnswer = z.object({ ...usedKey, lease: answeredLease, plaintext: base64Text }).meta({ id: 'PlaintextAnswer' });
export const dataKeyAnswer = z
  .object({ ...usedKey, lease: answeredLease, ciphertext: base64Text, plaintext: base64Text })
  .meta({ id: 'DataKeyAnswer' });

/** In the place of `plaintext`, where the request names a recipient. */
const ciphertextForRecipient = base64Text.meta({ description: 'the plaintext, sealed to the recipient (HPKE): docs/formats.md' });
export const plaintextForRecipientAnswer = plaintextAnswer
  .omit({ plaintext: true })
  .extend({ ciphertextForRecipient })
  .meta({ id: 'PlaintextForRecipientAnswer' });
export const dataKeyForRecipientAnswer = dataKeyAnswer
  .omit({ plaintext: true })
  .extend({ ciphertextForRecipient })
  .meta({ id: 'DataKeyForRecipientAnswer' });

const recorded = { record: z.int().meta({ description: "the place of the item's record in the log; items of one outcome share one" }) };
export const failedItem = z.object({ problem, record: recorded.record.optional() }).meta({ id: 'FailedItem' });
/** In the order of the items. */
const batchAnswerOf = (id: string, ...answers: readonly z.ZodObject[]) =>
  z.object({ items: z.array(z.union([...[...answers, dryRunAnswer].map((answer) => answer.extend(recorded)), failedItem])) }).meta({ id });
export const encryptBatchAnswer = batchAnswerOf('EncryptBatchAnswer', ciphertextAnswer);
export const decryptBatchAnswer = batchAnswerOf('DecryptBatchAnswer', plaintextAnswer, plaintextForRecipientAnswer);
export const generateDataKeyBatchAnswer = batchAnswerOf('GenerateDataKeyBatchAnswer', dataKeyAnswer, dataKeyForRecipientAnswer);
export const reEncryptBatchAnswer = batchAnswerOf('ReEncryptBatchAnswer', ciphertextAnswer);
export const macAnswer = z.object({ ...usedKey, mac: base64Text }).meta({ id: 'MacAnswer' });
export const validityAnswer = z.object({ ...usedKey, valid: z.boolean() }).meta({ id: 'ValidityAnswer' });
