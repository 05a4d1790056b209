import { createHmac, type KeyObject } from 'node:crypto';
import { type EncryptionContext, MAX_REASON_CHARACTERS, type OperationName, type RecordBody } from '#contract';
import type { Call } from './call.js';
import type { KeywardError } from './errors.js';
import { newRecordId } from './identifiers.js';
import { OPERATIONS } from './operation-table.js';
import type { Principal } from './principal.js';

/** What an operation adds to its record. */
export type RecordDetails = Partial<Pick<RecordBody, 'key' | 'crypto' | 'authz' | 'change'>>;

/** How a call ended: this becomes its record. */
export interface Ending {
  readonly error: KeywardError | undefined;
  readonly details: RecordDetails;
  /** Results that the HSM made and a stale rule threw away before this one. */
  readonly discarded: number;
}

const FAILURES = new Set(['decrypt-failed', 'unavailable', 'internal']);
const CATEGORY = { data: 'use', key: 'management', audit: 'audit' } as const;

/** The record of one call, without what the database adds (seq, recordedAt, writer). `principal` as confirmed, not as cached. */
export function recordBody(
  operation: OperationName,
  call: Call,
  principal: Principal,
  logId: string,
  ending: Ending,
  now: number,
): RecordBody {
  const { plane, effect } = OPERATIONS[operation];
  const { error, details, discarded } = ending;
  return {
    v: 1,
    id: newRecordId(now),
    log: logId,
    time: new Date(call.startedAt).toISOString(),
    durationUs: Math.max(0, Math.round((now - call.startedAt) * 1000)),
    phase: 'single',
    op: operation,
    category: CATEGORY[plane],
    rw: effect === 'change' ? 'write' : 'read',
    outcome: error === undefined ? 'succeeded' : FAILURES.has(error.code) ? 'failed' : 'refused',
    ...(error && { error: { code: error.code, reason: error.reason.replace(/\P{ASCII}|\p{C}/gu, '?').slice(0, MAX_REASON_CHARACTERS) } }),
    ...details,
    actor: { type: principal.role, tenant: principal.tenant, principal: principal.name, credentialId: principal.credentialId },
    request: { requestId: call.requestId },
    ...(discarded > 0 && { discarded }),
  };
}

/**
 * One digest a pair, so that recorded decisions can be replayed against another policy without the labels being readable:
 * the first 16 bytes of HMAC-SHA-256 under the tenant's salt, base64url.
 */
export function contextDigests(salt: KeyObject, context: EncryptionContext): string[] {
  return Object.entries(context).map(([name, value]) =>
    createHmac('sha256', salt)
      .update(JSON.stringify([name, value]))
      .digest()
      .subarray(0, 16)
      .toString('base64url'),
  );
}

/** Sizes are told as the next power of two: a length must not betray what was encrypted. */
export const sizeBucket = (bytes: number): string => `≤${2 ** Math.ceil(Math.log2(Math.max(1, bytes)))}`;
