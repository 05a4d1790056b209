import type { RewrapAnswer } from '#contract';
import { KeywardError, Refused } from '../errors.js';
import type { Handlers, Step } from '../pipeline.js';
import type { RewrapName, Rewraps, TakenPage } from '../ports/rewraps.js';

type RewrapOperation = 'DescribeRewrap' | 'RewrapPage' | 'SettleRewrapPage' | 'FinishRewrap';

/** Of no project, a foreign one and one of another service the caller learns the same. */
const notYours = () => new Refused('not-granted', '', { reason: 'unknown-rewrap' });

/** The service's side of a re-wrap project: how far it is. What it does with the key are ReEncryptFrom and ReEncryptTo, and decided there. */
export function rewrapHandlers(rewraps: Rewraps): Handlers<RewrapOperation> {
  return {
    DescribeRewrap: async (step) => {
      const answer = await rewraps.rewrap(named(step));
      if (answer === undefined) throw notYours();
      return { answer, details: {} };
    },

    /** The page before it is counted, if it is acknowledged. */
    RewrapPage: async (step) => {
      const { acknowledge, cursor, next, population, items } = step.input;
      if (items === 0 && next !== undefined) throw new KeywardError('invalid-request', 'Only the last page may be empty.');
      const taken = await rewraps.take(named(step), { acknowledge, cursor, population });
      return { answer: mustBeTaken(taken), details: {} };
    },

    SettleRewrapPage: async (step) => {
      const { input } = step;
      const { operationId } = input;
      if ('refusedBy' in input) {
        await rewraps.suspend(named(step), input.refusedBy);
        return { answer: { page: input.page, items: [] }, details: { change: { operationId, suspendedBy: input.refusedBy } } };
      }
      const { page, cursor, next, seq, results, itemIds } = input;
      const failures = results.flatMap((result, index) =>
        result.status === 'failed' ? [{ itemId: itemIds[index] ?? '', code: result.code }] : [],
      );
      const [moved, kept] = (['moved', 'kept'] as const).map((status) => results.filter((result) => result.status === status).length);
      const done = results.length - failures.length;
      if (!(await rewraps.settle(named(step), { page, cursor, next, done, failures, seq }))) throw elsewhere();
      return {
        answer: { page, items: [...results] },
        details: { change: { operationId, moved: moved!, kept: kept!, failed: failures.length } },
      };
    },

    /** Its record is the last of the project; only when it is durable is the project over. */
    FinishRewrap: async (step) => {
      const { operationId, acknowledge } = step.input;
      const wanted = { acknowledge, cursor: undefined, population: undefined };
      const taken = await rewraps.take(named(step), wanted);
      const { rewrap } = taken !== undefined && isFinished(taken.rewrap) ? taken : mustBeTaken(taken);
      if (!rewrap.atEnd) throw new KeywardError('state-unchangeable', 'There are pages to come.', { reason: 'not-at-end' });
      const { done, failed } = rewrap.progress;
      return {
        answer: rewrap,
        details: { change: { operationId, done, failed } },
        completed: async (seq) => (await rewraps.finish(named(step), seq)) ?? rewrap,
      };
    },
  };
}

const named = ({ call, principal, input }: Step<RewrapOperation>): RewrapName => ({
  tenant: call.tenant,
  operationId: input.operationId,
  service: principal.name,
});

/** Whoever lost the answer asks again. */
const isFinished = ({ state }: RewrapAnswer): boolean => state === 'succeeded' || state === 'failed';
const elsewhere = () =>
  new KeywardError('precondition-failed', 'The project is at another page: read where it is.', { reason: 'another-page' });

function mustBeTaken(taken: TakenPage | undefined): TakenPage {
  if (taken === undefined) throw notYours();
  switch (taken.verdict) {
    case 'ended':
      throw new KeywardError('state-unchangeable', `It is ${taken.rewrap.state}.`, { reason: 'rewrap-ended' });
    case 'elsewhere':
      throw elsewhere();
    case 'early':
      throw new KeywardError('too-many-requests', '', { retryAfterSeconds: taken.waitSeconds });
    case 'taken':
      return taken;
  }
}
