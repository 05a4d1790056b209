import type { EncryptedDataKey } from '@aws-crypto/material-management-node';
import type { EncryptionContext } from '#contract';

export interface MessageShape {
  readonly encryptionContext: EncryptionContext;
  readonly encryptedDataKeys: readonly EncryptedDataKey[];
  readonly frameLength: number;
}

const IV_BYTES = 12;
const TAG_BYTES = 16;
/** Version, suite, message id · content type, frame length, commitment, tag (AWS Encryption SDK, message format 2). */
const FIXED_HEADER_BYTES = 1 + 2 + 32 + 1 + 4 + 32 + TAG_BYTES;
const FRAME_OVERHEAD = 4 + IV_BYTES + TAG_BYTES;
const FINAL_FRAME_OVERHEAD = 4 + 4 + IV_BYTES + 4 + TAG_BYTES;

/**
 * How long a message of this shape with `plaintextBytes` is. The library stops reading after the final frame of an unsigned message:
 * without this, bytes that somebody appended would pass unnoticed.
 */
export function messageLength({ encryptionContext, encryptedDataKeys, frameLength }: MessageShape, plaintextBytes: number): number {
  const pairs = Object.entries(encryptionContext).flat();
  const contextBytes = 2 + (pairs.length === 0 ? 0 : 2 + sum(pairs.map(prefixed)));
  const keyBytes =
    2 + sum(encryptedDataKeys.map((key) => prefixed(key.providerId) + prefixed(key.providerInfo) + 2 + key.encryptedDataKey.length));
  const fullFrames = Math.floor(plaintextBytes / frameLength);
  return FIXED_HEADER_BYTES + contextBytes + keyBytes + fullFrames * FRAME_OVERHEAD + FINAL_FRAME_OVERHEAD + plaintextBytes;
}

const prefixed = (text: string) => 2 + Buffer.byteLength(text);
const sum = (lengths: readonly number[]) => lengths.reduce((total, length) => total + length, 0);
