import { createHmac, type KeyObject } from 'node:crypto';
import { type EncryptionContext, MAX_REASON_CHARACTERS, type OperationName, type RecordBody } from '#contract';
import type { Call } from './call.js';
import type { KeywardError } from './errors.js';
import { newRecordId } from './identifiers.js';
import { OPERATIONS } from './operation-table.js';
import type { Principal } from './principal.js';

/** What an operation adds to its record. */
export type RecordDetails = Partial<Pick<RecordBody, 'key' | 'crypto' | 'authz' | 'change'>> & {
  /** What the caller said of its own call. */
  readonly asked?: Omit<RecordBody['request'], 'requestId' | 'source'>;
};

/** How a call ended: this becomes its record. */
export interface Ending {
  readonly error: KeywardError | undefined;
  readonly details: RecordDetails;
  /** Results that the HSM made and a stale rule threw away before this one. */
  readonly discarded: number;
  /** Items of one batch that ended just so. Default 1. */
  readonly count?: number | undefined;
}

/** Whose log it is, and how that log tells what must not be read in it. */
export interface LogOfRecord {
  readonly rules: { readonly log: { readonly logId: string } };
  digest(...parts: readonly string[]): string;
}

const FAILURES = new Set(['decrypt-failed', 'unavailable', 'internal']);
const CATEGORY = { data: 'use', key: 'management', audit: 'audit' } as const;

/** The record of one call, without what the database adds (seq, recordedAt, writer). `principal` as confirmed, not as cached. */
export function recordBody(
  operation: OperationName,
  call: Call,
  principal: Principal,
  log: LogOfRecord,
  ending: Ending,
  now: number,
): RecordBody {
  const { plane, effect } = OPERATIONS[operation];
  const {
    error,
    details: { asked, ...details },
    discarded,
    count = 1,
  } = ending;
  return {
    v: 1,
    id: newRecordId(now),
    log: log.rules.log.logId,
    time: new Date(call.startedAt).toISOString(),
    durationUs: Math.max(0, Math.round((now - call.startedAt) * 1000)),
    phase: 'single',
    op: operation,
    category: CATEGORY[plane],
    rw: effect === 'change' ? 'write' : 'read',
    outcome: error === undefined ? 'succeeded' : FAILURES.has(error.code) ? 'failed' : 'refused',
    ...(error && { error: { code: error.code, reason: error.reason.replace(/\P{ASCII}|\p{C}/gu, '?').slice(0, MAX_REASON_CHARACTERS) } }),
    ...details,
    actor: actorOf(principal),
    request: {
      requestId: call.requestId,
      ...(call.sourceAddress !== undefined && { source: log.digest(call.sourceAddress) }),
      ...asked,
    },
    ...(discarded > 0 && { discarded }),
    ...(count > 1 && { count }),
  };
}

const actorOf = ({ role, tenant, name, credentialId, authMethod }: Principal): RecordBody['actor'] => ({
  ...{ type: role, tenant, principal: name, credentialId, authMethod },
});

/** The first 16 bytes of HMAC-SHA-256 under the tenant's salt over a JSON array, base64url. */
export const saltedDigest = (salt: KeyObject, parts: readonly string[]): string =>
  createHmac('sha256', salt).update(JSON.stringify(parts)).digest().subarray(0, 16).toString('base64url');

/** One digest a pair, so that recorded decisions can be replayed against another policy without the labels being readable. */
export const contextDigests = (salt: KeyObject, context: EncryptionContext): string[] =>
  Object.entries(context).map((pair) => saltedDigest(salt, pair));

/** Sizes are told as the next power of two: a length must not betray what was encrypted. */
export const sizeBucket = (bytes: number): string => `≤${2 ** Math.ceil(Math.log2(Math.max(1, bytes)))}`;
