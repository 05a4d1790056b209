import { z } from 'zod';
import type { RunTurn, StepFailed } from '#core';
import { EgressError } from '#http/egress';
import { failureOf } from '../delivery/sender.js';
import { TargetError } from './rotation-target.js';
import { octets } from './turn.js';

/** What the targets' process says of a turn: the next value of a `create`, or why not, in words of ours. */
export type TurnAnswer = Awaited<ReturnType<RunTurn>>;
export const turnAnswer: z.ZodType<TurnAnswer> = z.union([
  z.strictObject({ done: z.literal(true), value: octets.optional() }),
  z.strictObject({ failure: z.enum(['refused', 'unavailable', 'invalid']), detail: z.string().max(200) }),
]);

/** Addresses that nobody allowed do not become allowed by waiting. */
const REFUSED: readonly EgressError['reason'][] = ['url', 'port', 'address'];

export function failedBy(error: unknown): StepFailed {
  if (error instanceof TargetError) return { failure: error.reason, detail: error.detail };
  if (error instanceof EgressError)
    return { failure: REFUSED.includes(error.reason) ? 'refused' : 'unavailable', detail: failureOf(error) ?? error.reason };
  return { failure: 'unavailable', detail: 'internal' };
}
