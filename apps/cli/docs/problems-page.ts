import type { ProblemCode, RefusalReason } from '#contract';
import { PROBLEMS } from '#core';
import { errorOf } from '#sdk';
import { exitCodeOf } from '../exit-codes.js';

// biome-ignore format: an aligned table is read column by column
const TO_DO: Readonly<Record<ProblemCode, string>> = {
  'invalid-request':         'A field is missing, malformed or out of range: `errors` names each. Fix the call.',
  'decrypt-failed':          'Changed, cut, or of another tenant, key or context; which of these is not told. Treat it as tampering.',
  'unauthenticated':         'The credential is missing, malformed, expired or revoked; which is not told. Ask whoever issued it.',
  'not-granted':             "To a service: no grant of the tenant allows this, or there is no such tenant or key. Ask the tenant's admin; `keyward doctor` says what is missing.",
  'not-allowed':             "The credential's role may not make this call, whatever a policy says.",
  'stopped':                 'The tenant stopped this use of its keys. Do not go around it; it lasts until the tenant lifts it.',
  'not-found':               'No such thing in this tenant, or it is not yours.',
  'already-exists':          'The name is taken. Names of tenants are never given twice.',
  'key-disabled':            "The tenant's admin disabled the key.",
  'key-pending-deletion':    'The deletion of the key is scheduled; until its day an admin can cancel it.',
  'key-pending-import':      'The material of the key was not imported yet, or came to its end.',
  'key-exhausted':           'The version has sealed as much as random IVs allow. An admin rotates the key; what was sealed still opens.',
  'limit-exceeded':          'The tenant has as much of this as its quota allows; `detail` names both. Delete something, or ask the operator (`keyward quota list`).',
  'secret-pending-deletion': 'The deletion of the secret is scheduled; until its day it can be restored.',
  'state-unchangeable':      'The present state does not allow this change: [keys.md](keys.md) has the table.',
  'key-destroyed':           'The key is gone for good, and what it sealed with it.',
  'precondition-failed':     'Somebody changed it since you read it: read again, decide again.',
  'payload-too-large':       'The body is larger than the operation takes. Use the SDK\'s `Envelope` for data of any size.',
  'unsupported-media-type':  'Send `application/json`, or frames where the operation takes them.',
  'precondition-required':   'The change needs `If-Match` with the version that you have read, or `If-None-Match: *`.',
  'too-many-requests':       'Wait for `Retry-After`. The SDK does so by itself.',
  'internal':                'A defect of ours, or of a part of the platform: tell the operator the `requestId`.',
  'unavailable':             'Database, HSM or trail do not answer. The SDK tries again; what changes something may have been done.',
};

// biome-ignore format: an aligned table is read column by column
const REASONS: Readonly<Record<RefusalReason, string>> = {
  'condition-not-met':  'a grant names this service, key and operation, and one of its conditions does not hold',
  'guardrail':          'a guardrail of the tenant denies it',
  'stopped':            'a stop covers it',
  'limit-reached':      "the grant's calls of this minute or day are used up",
  'key-state':          'the state of the key does not allow it',
  'not-in-catalogue':   "the ISV's own catalogue does not let this service ask for it",
  'service-suspended':  'the ISV suspended the service',
  'tenant-suspended':   'the ISV suspended the tenant',
};

/** docs/problems.md, from the tables of the code: no code is without its row. */
export function problemsPage(): string {
  const codes = Object.entries(PROBLEMS).map(([code, { status, retryable }]) => {
    const error = errorOf('', { code: code as ProblemCode });
    return `| \`${code}\` | ${status} | ${retryable ? 'yes' : 'no'} | \`${error.name}\` | ${exitCodeOf(error)} | ${TO_DO[code as ProblemCode]} |`;
  });
  const reasons = Object.entries(REASONS).map(([reason, means]) => `| \`${reason}\` | ${means} |`);
  return `# Problems

Every error is \`application/problem+json\` (RFC 9457) with \`type\` \`urn:keyward:problem:<code>\`, \`code\`, \`requestId\` and \`retryable\`; \`errors\` names fields, \`detail\` says more where there is more to say. This page is made from the tables of the code (\`node dist/apps/cli/docs/problems.js\`); a test holds it to them.

| code | status | again? | SDK | exit code | means, and what to do |
|---|---|---|---|---|---|
${codes.join('\n')}

*Again?*: whether the same call may succeed later without anything being changed. *SDK*: the class that is thrown. *Exit code*: of \`keyward\`.

## Reasons

\`reason\` of a refusal, told only to a service that some grant of the tenant names with this key and operation:

| reason | means |
|---|---|
${reasons.join('\n')}

Which rule and which condition, only the tenant's auditors learn: the answer's header \`keyward-record\` is the record's place in their log.
`;
}
