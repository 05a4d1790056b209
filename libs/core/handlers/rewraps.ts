import type { RewrapAnswer } from '#contract';
import { decideRewrap } from '../decide-rewrap.js';
import { InvalidRequest, KeywardError, Refused } from '../errors.js';
import type { Handlers, Prepared, Step } from '../pipeline.js';
import type { Rewraps, TakenPage } from '../ports/rewraps.js';
import type { SnapshotKey } from '../snapshot.js';
import { mustBeBy, mustBeOpen, named, refusedUpload, rewrapEnded, uploadHandlers, type UploadOperation } from './uploads.js';

type PageOperation = 'DescribeRewrap' | 'RewrapPage' | 'SettleRewrapPage' | 'FinishRewrap';
type RewrapOperation = PageOperation | UploadOperation;

/** Of no project, a foreign one and one of another service the caller learns the same. */
export const UNKNOWN_REWRAP = 'unknown-rewrap';
const notYours = () => new Refused('not-granted', '', { reason: UNKNOWN_REWRAP });

/**
 * The service's side of a re-wrap project: how far it is. What it does with the key are ReEncryptFrom and ReEncryptTo, and decided there;
 * that it may do nothing with it any more is decided here, whatever a page holds. What changes the project does so after its record.
 */
export function rewrapHandlers(rewraps: Rewraps): Handlers<RewrapOperation> {
  const own = async (step: Step<RewrapOperation>): Promise<RewrapAnswer> => {
    const rewrap = await rewraps.rewrap(named(step));
    if (rewrap === undefined) throw notYours();
    return rewrap;
  };
  /** Once every result was acknowledged. */
  const finishUpload = async (step: Step<'FinishRewrap'>, rewrap: RewrapAnswer) => {
    const told = { answer: rewrap, details: ended(rewrap) };
    if (isFinished(rewrap)) return told;
    mustBeOpen(rewrap);
    if (!rewrap.atEnd) throw notAtEnd('There are results to come, or to be acknowledged.');
    const error = await refusedUpload(step, rewrap);
    if (error !== undefined) return { error, details: told.details };
    return { ...told, completed: (seq: bigint) => rewraps.finish(named(step), seq).then(() => own(step)) };
  };
  return {
    DescribeRewrap: async (step) => ({ answer: await own(step), details: {} }),

    /** The page before it is counted, if it is acknowledged. */
    RewrapPage: async (step) => {
      const { operationId, page, acknowledge, cursor, next, population, items } = step.input;
      if (items === 0 && next !== undefined) throw new KeywardError('invalid-request', 'Only the last page may be empty.');
      if (next === cursor) throw new InvalidRequest([{ field: 'next', message: 'is where this page begins itself' }]);
      const wanted = { acknowledge, cursor, population };
      mustBeBy('pages', await own(step));
      const { rewrap } = mustBeTaken(await rewraps.look(named(step), wanted));
      return await allowed(step, rewrap, ({ versions }) => {
        const answer = { rewrap, versions: new Set(versions.keys()) };
        const change = { operationId, page, ...(acknowledge !== undefined && { acknowledged: acknowledge }) };
        return { answer, details: { change }, completed: () => rewraps.take(named(step), wanted).then(() => answer) };
      });
    },

    SettleRewrapPage: async (step) => {
      const { input } = step;
      const { operationId } = input;
      const rewrap = await own(step);
      if ('refusedBy' in input) {
        const { page, refusedBy } = input;
        const answer = { page: page ?? '', items: [] };
        const change = { operationId, ...(page !== undefined && { page }), suspendedBy: refusedBy };
        return { answer, details: { change }, completed: () => rewraps.suspend(named(step), refusedBy).then(() => answer) };
      }
      const { page, cursor, next, seq, results, itemIds } = input;
      if (rewrap.atEnd || rewrap.cursor !== cursor) throw elsewhere();
      const failures = results.flatMap((result, index) =>
        result.status === 'failed' ? [{ itemId: itemIds[index] ?? '', code: result.code }] : [],
      );
      const done = results.length - failures.length;
      const kept = results.filter(({ status }) => status === 'kept').length;
      const answer = { page, items: [...results] };
      // What is not kept of it, since another run came in between, is not counted: its acknowledgement is refused.
      return await allowed(step, rewrap, () => ({
        answer,
        details: { change: { operationId, page, moved: done - kept, kept, failed: failures.length } },
        completed: () => rewraps.settle(named(step), { page, cursor, next, done, kept, failures, seq }).then(() => answer),
      }));
    },

    ...uploadHandlers(rewraps, own),

    /** Its record is the last of the project; only when it is durable is the project over. */
    FinishRewrap: async (step) => {
      const project = await own(step);
      if (project.mode === 'upload') return await finishUpload(step, project);
      const wanted = { acknowledge: step.input.acknowledge, cursor: undefined, population: undefined };
      const taken = await rewraps.look(named(step), wanted);
      if (taken !== undefined && isFinished(taken.rewrap)) return { answer: taken.rewrap, details: ended(taken.rewrap) };
      const { rewrap } = mustBeTaken(taken);
      if (!rewrap.atEnd) throw notAtEnd('There are pages to come.');
      return await allowed(step, rewrap, () => ({
        answer: rewrap,
        details: ended(rewrap),
        completed: async (seq) => {
          await rewraps.take(named(step), wanted);
          return (await rewraps.finish(named(step), seq)) ?? (await own(step));
        },
      }));
    },
  };
}

/** No step of a project without what its items need: the catalogue, a grant, no stop, a key that may be used. */
async function allowed<Answer>(step: Step<RewrapOperation>, rewrap: RewrapAnswer, work: (key: SnapshotKey) => Prepared<Answer>) {
  const decision = await decideRewrap(step, rewrap);
  return decision.refused ?? { ...work(decision.key), validUntil: decision.validUntil };
}

const ended = ({ operationId, progress: { done, kept, failed } }: RewrapAnswer) => ({
  change: { operationId, moved: done - kept, kept, failed },
});

/** Whoever lost the answer asks again. */
const isFinished = ({ state }: RewrapAnswer): boolean => state === 'succeeded' || state === 'failed';
const notAtEnd = (message: string) => new KeywardError('state-unchangeable', message, { reason: 'not-at-end' });
const elsewhere = () =>
  new KeywardError('precondition-failed', 'The project is at another page: read where it is.', { reason: 'another-page' });

function mustBeTaken(taken: TakenPage | undefined): TakenPage {
  if (taken === undefined) throw notYours();
  switch (taken.verdict) {
    case 'ended':
      throw rewrapEnded(taken.rewrap);
    case 'elsewhere':
      throw elsewhere();
    case 'early':
      throw new KeywardError('too-many-requests', '', { retryAfterSeconds: taken.waitSeconds });
    case 'taken':
      return taken;
  }
}
