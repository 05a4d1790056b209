import { createHmac, type KeyObject } from 'node:crypto';
import {
  type DisclosureName,
  type EncryptionContext,
  MAX_REASON_CHARACTERS,
  type OperationName,
  type RecordBody,
  type Role,
} from '#contract';
import type { Call } from './call.js';
import { type Disclosure, disclose, type SharedDisclosures } from './disclosures.js';
import { KeywardError } from './errors.js';
import { newRecordId } from './identifiers.js';
import { type OperationRow, OPERATIONS } from './operation-table.js';
import type { WrappedKeyVersion } from './ports/custody.js';
import type { Principal } from './principal.js';

/** What an operation adds to its record. */
export type RecordDetails = Partial<Pick<RecordBody, 'key' | 'secret' | 'crypto' | 'authz' | 'change' | 'hsm'>> & {
  /** What the caller said of its own call. */
  readonly asked?: Omit<RecordBody['request'], 'requestId' | 'traceId' | 'source'>;
  /** What the record tells as digests only. */
  readonly personal?: readonly PersonalField[];
};

export interface PersonalField {
  readonly name: DisclosureName;
  readonly value: string;
  /** The principal's name of whom it tells; default: the caller. */
  readonly whose?: string;
}

/** A person's own words, if there are any. */
export const saying = (reason: string | undefined): Pick<RecordDetails, 'personal'> =>
  reason === undefined || reason === '' ? {} : { personal: [{ name: 'reason', value: reason }] };

/** A record, and what it keeps to itself. */
export interface Recording {
  readonly body: RecordBody;
  readonly disclosures: readonly Disclosure[];
}

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
  readonly shared: Pick<SharedDisclosures, 'of'>;
}

const FAILURES = new Set(['decrypt-failed', 'unavailable', 'internal']);
const CATEGORY = { data: 'use', key: 'management', audit: 'audit' } as const;

/**
 * The record of one call, without what the database adds (seq, recordedAt, writer). `principal` as confirmed, not as cached.
 * @throws KeywardError internal for what succeeded without the fields that its row in the operation table declares
 */
export function recorded(
  operation: OperationName,
  call: Call,
  principal: Principal,
  log: LogOfRecord,
  ending: Ending,
  now: number,
  platform?: string,
): Recording {
  const { plane, effect } = OPERATIONS[operation];
  const {
    error,
    details: { asked, personal = [], ...details },
    discarded,
    count = 1,
  } = ending;
  if (error === undefined && asked?.dryRun !== true) mustCarry(operation, details);
  const disclosures = disclosuresOf(call, principal, log, personal, now);
  const body: RecordBody = {
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
    actor: actorOf(principal, log),
    request: {
      requestId: call.requestId,
      ...(call.traceId !== undefined && { traceId: call.traceId }),
      ...asked,
    },
    ...(platform !== undefined && { platform }),
    ...(discarded > 0 && { discarded }),
    ...(count > 1 && { count }),
    ...(disclosures.length > 0 && { _sd: disclosures.map(({ digest }) => digest), _sd_alg: 'sha-256' as const }),
  };
  return { body, disclosures };
}

/** For the log of whom an operator's change concerns: without what the platform's own log keeps of the operator. */
export function toldElsewhere({ body: { _sd: _, _sd_alg: __, ...body } }: Recording): RecordBody {
  return body;
}

const CARRIED: Readonly<Record<OperationRow['records'][number], (details: RecordDetails) => unknown>> = {
  context: ({ crypto }) => crypto?.context,
  size: ({ crypto }) => crypto?.plaintextSize,
  change: ({ change }) => change,
};

/** What succeeded is told as its row in the operation table says, or does not succeed. @throws KeywardError internal */
function mustCarry(operation: OperationName, details: RecordDetails): void {
  for (const field of OPERATIONS[operation].records)
    if (CARRIED[field](details) === undefined) throw new KeywardError('internal', '', { reason: `record without ${field}` });
}

const PEOPLE: ReadonlySet<Role> = new Set(['operator', 'admin', 'auditor']);

/** A person in a log: who has the log alone does not learn the name, and one person's records can still be found by it. */
export const personIn = (log: Pick<LogOfRecord, 'digest'>, name: string): string => log.digest('person', name);

const principalIn = (log: LogOfRecord, { role, name }: Principal): string => (PEOPLE.has(role) ? personIn(log, name) : name);

const actorOf = (principal: Principal, log: LogOfRecord): RecordBody['actor'] => {
  const { role, tenant, credentialId, authMethod } = principal;
  return { type: role, tenant, principal: principalIn(log, principal), credentialId, authMethod };
};

function disclosuresOf(
  { sourceAddress, userAgent }: Call,
  principal: Principal,
  log: LogOfRecord,
  personal: readonly PersonalField[],
  now: number,
): readonly Disclosure[] {
  // Who enrols has no name before.
  const enrolled = principal.role === 'enrolment' ? personal[0]?.whose : undefined;
  const about = enrolled === undefined ? principalIn(log, principal) : personIn(log, enrolled);
  if (principal.role === 'service') return sourceAddress === undefined ? [] : [log.shared.of('sourceIp', about, sourceAddress, now)];
  const own: readonly [DisclosureName, string | undefined][] = [
    ['sourceIp', sourceAddress],
    ['userAgent', userAgent],
    ['userName', PEOPLE.has(principal.role) ? principal.name : undefined],
  ];
  return [
    ...own.flatMap(([name, value]) => (value === undefined ? [] : [disclose(name, about, value)])),
    ...personal.map(({ name, value, whose }) => disclose(name, whose === undefined ? about : personIn(log, whose), value)),
  ];
}

/** What a record tells of the version of a key. */
export const recordedVersion = (
  version: Pick<WrappedKeyVersion, 'versionId' | 'spec' | 'origin'> | undefined,
): Pick<NonNullable<RecordBody['key']>, 'versionId' | 'spec' | 'origin'> =>
  version === undefined ? {} : { versionId: version.versionId, spec: version.spec, origin: version.origin };

/** The first 16 bytes of HMAC-SHA-256 under the tenant's salt over a JSON array, base64url. */
export const saltedDigest = (salt: KeyObject, parts: readonly string[]): string =>
  createHmac('sha256', salt).update(JSON.stringify(parts)).digest().subarray(0, 16).toString('base64url');

/** One digest a pair, so that recorded decisions can be replayed against another policy without the labels being readable. */
export const contextDigests = (salt: KeyObject, context: EncryptionContext): string[] =>
  Object.entries(context).map((pair) => saltedDigest(salt, pair));

/** Sizes are told as the next power of two: a length must not betray what was encrypted. */
export const sizeBucket = (bytes: number): string => `≤${2 ** Math.ceil(Math.log2(Math.max(1, bytes)))}`;
