import type { Problem, ProblemCode, RefusalReason } from '#contract';

/** A code of the wire, or `bad-answer`: what came back is not an answer that Keyward gives. */
export type ErrorCode = ProblemCode | 'bad-answer';

export interface ErrorFacts {
  readonly code: ErrorCode;
  /** HTTP status; absent when no answer came. */
  readonly status?: number | undefined;
  readonly requestId?: string | undefined;
  /** Position of the record in the trail that tells of this refusal. */
  readonly record?: number | undefined;
  readonly retryable?: boolean | undefined;
  readonly retryAfterMs?: number | undefined;
  readonly fields?: Problem['errors'] | undefined;
  readonly reason?: RefusalReason | undefined;
  readonly cause?: unknown;
}

/**
 * Whatever a call to Keyward ends in, if not in an answer. Messages and causes name no key, token or plaintext: the ISV logs them.
 * Catch the classes below; `code` is finer.
 */
export abstract class KeywardError extends Error {
  readonly code: ErrorCode;
  readonly status: number | undefined;
  readonly requestId: string | undefined;
  readonly record: number | undefined;
  /** Whether the same call may succeed later. The client has already tried again as often as it may. */
  readonly retryable: boolean;
  readonly retryAfterMs: number | undefined;
  /** The fields that were refused. */
  readonly fields: NonNullable<Problem['errors']>;
  /** Why it was refused, as far as the caller may know: only a service that a grant names is told. */
  readonly reason: RefusalReason | undefined;

  constructor(message: string, facts: ErrorFacts) {
    super(message, facts.cause === undefined ? undefined : { cause: facts.cause });
    this.name = new.target.name;
    this.code = facts.code;
    this.status = facts.status;
    this.requestId = facts.requestId;
    this.record = facts.record;
    this.retryable = facts.retryable ?? false;
    this.retryAfterMs = facts.retryAfterMs;
    this.fields = facts.fields ?? [];
    this.reason = facts.reason;
  }
}

/** Keyward, or the way to it, is down or too slow. The data is not lost: try again later. */
export class Unavailable extends KeywardError {}
/** Too many calls; `retryAfterMs` says when. */
export class Throttled extends KeywardError {}
/** No grant of the tenant allows this, or the credential may not call it. */
export class Refused extends KeywardError {}
/** The tenant has stopped this use of its keys, until it lifts the stop. */
export class Stopped extends KeywardError {}
/** The tenant has disabled the key, or it has no material yet, waits for its deletion, or seals no more until it is rotated. */
export class KeyDisabled extends KeywardError {}
/** The key is gone for good, and what it sealed with it. */
export class KeyDestroyed extends KeywardError {}
/** The ciphertext, its context, its key or its tenant does not fit. */
export class DecryptFailed extends KeywardError {}
/** The credential is missing, wrong, expired or revoked. */
export class Unauthenticated extends KeywardError {}
/** The call itself is wrong; `fields` says where. */
export class InvalidCall extends KeywardError {}
export class NotFound extends KeywardError {}
/** It exists already, or has changed since it was read, or its state does not allow this. */
export class Conflict extends KeywardError {}
/** A fault of the server, or an answer that must not be used. */
export class ServerFault extends KeywardError {}

// biome-ignore format: an aligned table is read column by column
const CLASS_OF = {
  'invalid-request':        InvalidCall,
  'payload-too-large':      InvalidCall,
  'unsupported-media-type': InvalidCall,
  'precondition-required':  InvalidCall,
  'decrypt-failed':         DecryptFailed,
  'unauthenticated':        Unauthenticated,
  'not-granted':            Refused,
  'not-allowed':            Refused,
  'stopped':                Stopped,
  'not-found':              NotFound,
  'already-exists':         Conflict,
  'secret-pending-deletion': Conflict,
  'state-unchangeable':     Conflict,
  'precondition-failed':    Conflict,
  'limit-exceeded':         Conflict,
  'key-disabled':           KeyDisabled,
  'key-pending-deletion':   KeyDisabled,
  'key-pending-import':     KeyDisabled,
  'key-exhausted':          KeyDisabled,
  'key-destroyed':          KeyDestroyed,
  'too-many-requests':      Throttled,
  'unavailable':            Unavailable,
  'internal':               ServerFault,
  'bad-answer':             ServerFault,
} as const satisfies Record<ErrorCode, new (message: string, facts: ErrorFacts) => KeywardError>;

/** The error of the class that belongs to `facts.code`. */
export const errorOf = (message: string, facts: ErrorFacts): KeywardError => new CLASS_OF[facts.code](message, facts);
