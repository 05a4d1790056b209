import { z } from 'zod';
import { GuardedReach } from './guarded-reach.js';
import { TargetError } from './rotation-target.js';
import { TARGETS } from './targets.js';
import { answerOf, type TurnAnswer } from './turn-answer.js';
import { type TurnRequest, turnRequest } from './turn.js';

/**
 * The targets' process: one turn, and it ends. It has no socket of a custodian, no database, no data directory and no environment; Node's
 * permissions keep files, programs, threads and native code from it. Its memory, with every value in it, goes with it.
 */
const order = z.strictObject({ allow: z.array(z.string()), timeLimitMs: z.int().positive(), request: turnRequest });

async function answered(message: unknown): Promise<TurnAnswer> {
  const { allow, timeLimitMs, request } = order.parse(message);
  const target = TARGETS.find(({ kind }) => kind === request.kind);
  if (target === undefined) return answerOf(new TargetError('invalid', 'targetKind'));
  const reach = new GuardedReach({ allow, ports: target.ports }, timeLimitMs);
  try {
    const value = await target.turn(request, reach);
    return value === undefined ? {} : { value };
  } catch (error) {
    return answerOf(error);
  } finally {
    reach.close();
    wipe(request);
  }
}

function wipe({ connection, current, previous, next, old }: TurnRequest): void {
  for (const bytes of [connection, current, previous, next, old]) bytes?.fill(0);
}

process.once('message', (message) => {
  const say = (answer: TurnAnswer) => process.send!(answer, () => process.exit());
  answered(message).then(say, (error: unknown) => say(answerOf(error)));
});
// Whoever asked is gone: so is the reason to be here.
process.once('disconnect', () => process.exit());
