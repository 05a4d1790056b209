import { z } from 'zod';

/**
 * Standard base64 with padding (RFC 4648 §4), `min` to `max` bytes once decoded.
 * Answers a Buffer, so that nobody decodes twice.
 */
export function base64Bytes(min: number, max: number) {
  return z
    .base64({ error: 'must be base64 (RFC 4648 §4, padded)' })
    .transform((text) => Buffer.from(text, 'base64'))
    .refine((bytes) => bytes.length >= min && bytes.length <= max, `must be ${min} to ${max} bytes`);
}

/** The same as bytes already: what a frame carries. */
export function rawBytes(min: number, max: number) {
  return z
    .custom<Buffer<ArrayBuffer>>((value) => Buffer.isBuffer(value))
    .refine((bytes) => bytes.length >= min && bytes.length <= max, `must be ${min} to ${max} bytes`);
}
