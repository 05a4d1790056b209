import type { RotationPhase } from '#contract';

/** Phases in which the worker has something to do. */
export type RunningPhase = Exclude<RotationPhase, 'Idle' | 'Invalid'>;

/** Steps of a target (apps/worker/targets). */
export type TargetStep = 'create' | 'apply' | 'test' | 'revert' | 'retire';

interface Row {
  /** What the target does in it; undefined: it is between the secret's own rows. */
  readonly step: TargetStep | undefined;
  readonly done: RotationPhase;
  /** Where to, when the target fails for good; undefined: it cannot. */
  readonly failed: RotationPhase | undefined;
}

// biome-ignore format: an aligned table is read column by column
export const ROTATION: Readonly<Record<RunningPhase, Row>> = {
  Creating:  { step: 'create',  done: 'Applying',  failed: 'Invalid' },
  Applying:  { step: 'apply',   done: 'Testing',   failed: 'Reverting' },
  Testing:   { step: 'test',    done: 'Promoting', failed: 'Reverting' },
  Promoting: { step: undefined, done: 'Settling',  failed: undefined },
  Settling:  { step: undefined, done: 'Retiring',  failed: undefined },
  Retiring:  { step: 'retire',  done: 'Idle',      failed: 'Invalid' },
  Reverting: { step: 'revert',  done: 'Invalid',   failed: 'Invalid' },
};

/** Why a target failed (apps/worker/targets/rotation-target.ts). */
export type TargetFailure = 'refused' | 'unavailable' | 'invalid';

/** How often a step is tried. What is refused may be put right soon; a wrong shape does not change by itself. */
const TRIES: Readonly<Record<TargetFailure, number>> = { unavailable: 8, refused: 3, invalid: 1 };
/** After the first failure in a row, after the second, …: 45 minutes in all. */
const PAUSES_MS = [5, 30, 60, 300, 600, 600, 1200].map((seconds) => 1000 * seconds);

export interface RotationProgress {
  readonly phase: RotationPhase;
  /** Failures in a row, in this phase. */
  readonly failures: number;
  /** Why it failed last: `<phase>: <reason>: <detail>`. It stays until a rotation succeeds. */
  readonly lastError: string | undefined;
}

export type StepOutcome = StepDone | StepFailed;
export interface StepDone {
  readonly done: true;
}
export interface StepFailed {
  readonly failure: TargetFailure;
  readonly detail: string;
}

/** Progress after a step, and the milliseconds until the next. */
export type AfterStep = RotationProgress & { readonly waitMs: number };

/** What a step leads to. Pure; `overlapMs` is how long both values are good. @throws RangeError for a failure of a phase that has no target */
export function afterStep(
  { phase, failures, lastError }: RotationProgress & { readonly phase: RunningPhase },
  outcome: StepOutcome,
  overlapMs: number,
  pausesMs: readonly number[] = PAUSES_MS,
): AfterStep {
  const { done, failed } = ROTATION[phase];
  if ('done' in outcome) {
    const waitMs = done === 'Settling' ? overlapMs : 0;
    return { phase: done, failures: 0, lastError: done === 'Idle' ? undefined : lastError, waitMs };
  }
  if (failed === undefined) throw new RangeError(`${phase} is of no target.`);
  const told = `${phase}: ${outcome.failure}: ${outcome.detail}`.slice(0, 200);
  if (failures + 1 >= TRIES[outcome.failure]) return { phase: failed, failures: 0, lastError: told, waitMs: 0 };
  return { phase, failures: failures + 1, lastError: told, waitMs: pausesMs[Math.min(failures, pausesMs.length - 1)] ?? 0 };
}

/**
 * Where a rotation begins. A value that was left pending, because nobody could tell whether the target has taken it, is applied (again)
 * before another one is made.
 */
export const firstPhase = (hasPending: boolean): RunningPhase => (hasPending ? 'Applying' : 'Creating');

export const isRunning = (phase: RotationPhase): phase is RunningPhase => phase in ROTATION;
