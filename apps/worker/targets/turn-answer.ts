import { z } from 'zod';
import { EgressError } from '#http/egress';
import { failureOf } from '../delivery/sender.js';
import { TargetError } from './rotation-target.js';
import { octets } from './turn.js';

/** What the targets' process says of a turn: the next value of a `create`, or why not, in words of ours. */
export const turnAnswer = z.union([
  z.strictObject({ value: octets.optional() }),
  z.strictObject({ reason: z.enum(['refused', 'unavailable', 'invalid']), detail: z.string().max(200) }),
]);
export type TurnAnswer = z.infer<typeof turnAnswer>;

/** Addresses that nobody allowed do not become allowed by waiting. */
const REFUSED: readonly EgressError['reason'][] = ['url', 'port', 'address'];

export function answerOf(error: unknown): Extract<TurnAnswer, { reason: string }> {
  if (error instanceof TargetError) return { reason: error.reason, detail: error.detail };
  if (error instanceof EgressError)
    return { reason: REFUSED.includes(error.reason) ? 'refused' : 'unavailable', detail: failureOf(error) ?? error.reason };
  return { reason: 'unavailable', detail: 'internal' };
}
