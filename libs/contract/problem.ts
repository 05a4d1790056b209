import { z } from 'zod';

/** Stable codes; core/errors.ts maps each to its status. */
export const problemCode = z.enum([
  'invalid-request',
  'unauthenticated',
  'not-granted',
  'not-allowed',
  'stopped',
  'not-found',
  'already-exists',
  'precondition-failed',
  'precondition-required',
  'decrypt-failed',
  'key-disabled',
  'key-pending-deletion',
  'key-pending-import',
  'key-exhausted',
  'limit-exceeded',
  'key-destroyed',
  'secret-pending-deletion',
  'state-unchangeable',
  'too-many-requests',
  'payload-too-large',
  'unsupported-media-type',
  'unavailable',
  'internal',
]);
export type ProblemCode = z.infer<typeof problemCode>;

/**
 * Why a call was refused, for a service that some grant of the tenant names with this key and operation; nobody else is told.
 * Which rule and which condition, only the tenant learns, from its record.
 */
export const refusalReason = z.enum([
  'condition-not-met',
  'guardrail',
  'stopped',
  'limit-reached',
  'key-state',
  'not-in-catalogue',
  'service-suspended',
  'tenant-suspended',
]);
export type RefusalReason = z.infer<typeof refusalReason>;

/** An error on the wire: application/problem+json (RFC 9457). */
export const problem = z
  .object({
    type: z.string().meta({ description: 'A name for the kind of problem: urn:keyward:problem:<code>' }),
    title: z.string(),
    status: z.int(),
    detail: z.string().optional(),
    code: problemCode,
    requestId: z.string(),
    retryable: z.boolean(),
    reason: refusalReason.optional(),
    errors: z
      .array(z.object({ field: z.string(), message: z.string() }))
      .optional()
      .meta({ description: 'One entry a field that was refused' }),
  })
  .meta({ id: 'Problem' });
export type Problem = z.infer<typeof problem>;
