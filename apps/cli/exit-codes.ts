import { InvalidArgumentError } from 'commander';
import { ConfigurationError } from '#runtime';
import { type ErrorCode, KeywardError } from '#sdk';
import { VerifierKeyRefused } from '#trail';
import { type SubmissionProblem, SubmissionRefused } from './witness/submit.js';

/** What scripts may rely on. */
export const EXIT = { ok: 0, defect: 1, usage: 2, denied: 3, conflict: 4, unavailable: 5, verification: 6 } as const;
export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** The call itself is wrong, as the caller can see without a server: a missing file, a malformed option. */
export class UsageError extends Error {}

/** What was read is not what was saved or signed, or does not fit this place. */
export class VerificationFailed extends Error {}

// biome-ignore format: an aligned table is read column by column
const OF_CODE = {
  'invalid-request':        EXIT.usage,
  'payload-too-large':      EXIT.usage,
  'unsupported-media-type': EXIT.usage,
  'precondition-required':  EXIT.usage,
  'unauthenticated':        EXIT.denied,
  'not-granted':            EXIT.denied,
  'not-allowed':            EXIT.denied,
  'stopped':                EXIT.denied,
  'not-found':              EXIT.conflict,
  'already-exists':         EXIT.conflict,
  'precondition-failed':    EXIT.conflict,
  'secret-pending-deletion': EXIT.conflict,
  'state-unchangeable':     EXIT.conflict,
  'limit-exceeded':         EXIT.conflict,
  'key-disabled':           EXIT.conflict,
  'key-pending-deletion':   EXIT.conflict,
  'key-pending-import':     EXIT.conflict,
  'key-exhausted':          EXIT.conflict,
  'key-destroyed':          EXIT.conflict,
  'decrypt-failed':         EXIT.verification,
  'too-many-requests':      EXIT.unavailable,
  'unavailable':            EXIT.unavailable,
  'internal':               EXIT.unavailable,
  'bad-answer':             EXIT.unavailable,
} as const satisfies Record<ErrorCode, ExitCode>;

// biome-ignore format: an aligned table is read column by column
const OF_SUBMISSION = {
  'fork':               EXIT.verification,
  'rolled-back':        EXIT.verification,
  'not-a-continuation': EXIT.verification,
  'bad-signature':      EXIT.verification,
  'overtaken':          EXIT.unavailable,
  'not-watched':        EXIT.conflict,
  'unavailable':        EXIT.unavailable,
} as const satisfies Record<SubmissionProblem, ExitCode>;

/** The exit code that belongs to whatever a command ended in. */
export function exitCodeOf(error: unknown): ExitCode {
  if (error instanceof KeywardError) return OF_CODE[error.code];
  if (error instanceof VerificationFailed) return EXIT.verification;
  if (error instanceof SubmissionRefused) return OF_SUBMISSION[error.code];
  const isUsage = [UsageError, ConfigurationError, VerifierKeyRefused, InvalidArgumentError].some((kind) => error instanceof kind);
  return isUsage ? EXIT.usage : EXIT.defect;
}
