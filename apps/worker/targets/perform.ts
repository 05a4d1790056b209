import { z } from 'zod';
import type { TargetTurn } from '#core';
import { GuardedReach } from './guarded-reach.js';
import { TargetError } from './rotation-target.js';
import { TARGETS } from './targets.js';
import { failedBy, type TurnAnswer } from './turn-answer.js';
import { turnRequest } from './turn.js';

/** What the targets' process is told: the turn, and how far it may reach, and how long. */
const turnOrder = z.strictObject({ allow: z.array(z.string()), timeLimitMs: z.int().positive(), request: turnRequest });
export type TurnOrder = z.infer<typeof turnOrder>;

/** Does it, and wipes its values. Never rejects. */
export async function perform(order: unknown): Promise<TurnAnswer> {
  const { success, data } = turnOrder.safeParse(order);
  if (!success) return failedBy(new TargetError('invalid', 'the order'));
  const { allow, timeLimitMs, request } = data;
  const target = TARGETS.find(({ kind }) => kind === request.kind);
  if (target === undefined) return failedBy(new TargetError('invalid', 'target'));
  const reach = new GuardedReach({ allow, ports: target.ports }, timeLimitMs);
  try {
    return { done: true, value: await target.turn(request, reach) };
  } catch (error) {
    return failedBy(error);
  } finally {
    reach.close();
    wipe(request);
  }
}

function wipe({ connection, current, previous, next, old }: TargetTurn): void {
  for (const bytes of [connection, current, previous, next, old]) bytes?.fill(0);
}
