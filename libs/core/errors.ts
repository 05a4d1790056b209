import type { Problem, ProblemCode, RefusalReason } from '#contract';

/** Code → status, title, whether the same call may succeed later. The only such table. */
export const PROBLEMS = {
  'invalid-request': { status: 400, retryable: false, title: 'The request is not valid.' },
  'decrypt-failed': { status: 400, retryable: false, title: 'The ciphertext does not open.' },
  unauthenticated: { status: 401, retryable: false, title: 'A valid credential is required.' },
  'not-granted': { status: 403, retryable: false, title: 'No grant allows this call.' },
  'not-allowed': { status: 403, retryable: false, title: 'This credential may not make this call.' },
  stopped: { status: 403, retryable: false, title: 'The customer has stopped this use of its keys.' },
  'not-found': { status: 404, retryable: false, title: 'There is no such thing.' },
  'already-exists': { status: 409, retryable: false, title: 'It exists already.' },
  'key-disabled': { status: 409, retryable: false, title: 'The key is disabled.' },
  'key-pending-deletion': { status: 409, retryable: false, title: 'The key is waiting for its deletion.' },
  'key-pending-import': { status: 409, retryable: false, title: 'The key has no material yet.' },
  'key-exhausted': { status: 409, retryable: false, title: 'The key has sealed as much as it safely can: it needs its next version.' },
  'limit-exceeded': { status: 400, retryable: false, title: 'A quota of the tenant is used up.' },
  'secret-pending-deletion': { status: 409, retryable: false, title: 'The secret is waiting for its deletion.' },
  'state-unchangeable': { status: 409, retryable: false, title: 'The present state does not allow this change.' },
  'key-destroyed': { status: 410, retryable: false, title: 'The key has been destroyed.' },
  'precondition-failed': { status: 412, retryable: false, title: 'It has changed since you read it.' },
  'payload-too-large': { status: 413, retryable: false, title: 'The body is too large.' },
  'unsupported-media-type': { status: 415, retryable: false, title: 'This media type is not accepted.' },
  'precondition-required': { status: 428, retryable: false, title: 'If-Match is required.' },
  'too-many-requests': { status: 429, retryable: true, title: 'Too many requests.' },
  internal: { status: 500, retryable: false, title: 'Something went wrong on our side.' },
  unavailable: {
    status: 503,
    retryable: true,
    title: 'A part that is needed is not available. Try again; what changes something may have been done.',
  },
} as const satisfies Record<ProblemCode, { status: number; retryable: boolean; title: string }>;

export type FieldError = NonNullable<Problem['errors']>[number];

interface ErrorOptions {
  readonly reason?: string;
  readonly why?: RefusalReason | undefined;
  readonly fields?: readonly FieldError[];
  readonly retryAfterSeconds?: number;
  readonly cause?: unknown;
}

/**
 * The one hierarchy: every error that may cross a plane's edge. `message` may be shown to the caller;
 * `reason` is the truth for the record and is never shown.
 */
export class KeywardError extends Error {
  readonly code: ProblemCode;
  readonly reason: string;
  readonly fields: readonly FieldError[];
  /** May be shown: to a service that a grant names, or about the ISV's own rules. */
  readonly why: RefusalReason | undefined;
  readonly retryAfterSeconds: number | undefined;
  /** The place of its record in the log, once it has one. */
  record: bigint | undefined;

  constructor(code: ProblemCode, detail: string = '', options: ErrorOptions = {}) {
    super(detail, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = new.target.name;
    this.code = code;
    this.reason = options.reason ?? code;
    this.fields = options.fields ?? [];
    this.why = options.why;
    this.retryAfterSeconds = options.retryAfterSeconds;
  }
}

/** The decision said no; recorded before it is told. */
export class Refused extends KeywardError {}

export class InvalidRequest extends KeywardError {
  constructor(fields: readonly FieldError[], detail = 'See errors.') {
    super('invalid-request', detail, { fields });
  }
}

/** HSM, custodian or the way to it is down or too slow. */
export class CustodyUnavailable extends KeywardError {
  constructor(reason: string, cause?: unknown) {
    super('unavailable', '', { reason: `custody: ${reason}`, cause });
  }
}

/** The record could not be made durable, or it is unknown whether it was: the result must not leave the process. */
export class TrailUnavailable extends KeywardError {
  constructor(reason: string, cause?: unknown) {
    super('unavailable', '', { reason: `trail: ${reason}`, cause });
  }
}

/** Every failed decryption looks like this one. */
export class DecryptFailed extends KeywardError {
  constructor(reason: string) {
    super('decrypt-failed', '', { reason });
  }
}

/** A key version's row does not carry the MAC that the HSM once gave it: somebody edited it. */
export class KeyBindingBroken extends KeywardError {
  constructor(versionId: string) {
    super('unavailable', '', { reason: `key-binding-broken ${versionId}` });
  }
}

/** The custodian keeps the key's tombstone: whatever row is shown to it, from whatever backup, the key never opens again. */
export class KeyDestroyed extends KeywardError {
  constructor() {
    super('key-destroyed', '', { reason: 'key-destroyed: tombstone' });
  }
}

/** A row that does not have the form in which it was written. Its content is not told: it could be anything. */
export class UnreadableRow extends KeywardError {
  constructor(readonly readBy: string) {
    super('unavailable', '', { reason: `database: ${readBy} answered an unknown shape` });
  }
}

/** A bug in this code, never a caller's fault. */
export class PermitMisused extends KeywardError {
  constructor(reason: string) {
    super('internal', '', { reason });
  }
}

/** What an unexpected error is to a caller; one of ours stays itself. */
export const asFailure = (error: unknown): KeywardError =>
  error instanceof KeywardError ? error : new KeywardError('internal', '', { reason: 'defect', cause: error });
