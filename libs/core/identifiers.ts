import { randomBytes } from 'node:crypto';
import {
  type CredentialId,
  type ImportToken,
  decode26,
  encode26,
  type KeyId,
  type KeyVersionId,
  type LongOperationId,
  type SecretId,
  type SinkId,
  type StopId,
} from '#contract';

/** Drawn in bulk: a call of its own for each identifier cost more than everything else that a decision does. */
const POOL_BYTES = 8192;
let pool = new Uint8Array(0);
let drawn = 0;

/** A UUIDv7 (RFC 9562 §5.7): 48 bits of milliseconds, then random. 16 bytes. Unique, but no secret. */
export function uuidv7(milliseconds: number): Uint8Array {
  if (drawn + 16 > pool.length) {
    pool = randomBytes(POOL_BYTES);
    drawn = 0;
  }
  const bytes = Buffer.from(pool.subarray(drawn, (drawn += 16)));
  bytes.writeUIntBE(milliseconds, 0, 6);
  bytes[6] = (bytes[6]! & 0x0f) | 0x70;
  bytes[8] = (bytes[8]! & 0x3f) | 0x80;
  return bytes;
}

const fresh = (prefix: string) => (milliseconds: number) => `${prefix}_${encode26(uuidv7(milliseconds))}`;

export const newKeyId = fresh('key') as (milliseconds: number) => KeyId;
export const newKeyVersionId = fresh('kver') as (milliseconds: number) => KeyVersionId;
export const newCredentialId = fresh('crd') as (milliseconds: number) => CredentialId;
export const newStopId = fresh('stop') as (milliseconds: number) => StopId;
export const newSinkId = fresh('sink') as (milliseconds: number) => SinkId;
export const newLongOperationId = fresh('op') as (milliseconds: number) => LongOperationId;
export const newImportToken = fresh('imp') as (milliseconds: number) => ImportToken;
export const newSecretId = fresh('sec') as (milliseconds: number) => SecretId;
export const newSecretVersionId = fresh('sver');
export const newLogId = fresh('log');
export const newRequestId = fresh('req');
export const newRecordId = fresh('rec');

/** When an id was drawn: a UUIDv7 begins with 48 bits of milliseconds. */
export const drawnAt = (id: string): Date => new Date(Buffer.from(decode26(id.slice(-26))).readUIntBE(0, 6));
