import fc from 'fast-check';
import { ROTATION_PHASES } from '#contract';
import {
  afterStep,
  firstPhase,
  isRunning,
  ROTATION,
  type RotationProgress,
  type RunningPhase,
  type StepOutcome,
} from './secret-rotation.js';

const OVERLAP_MS = 600_000;
const FAILURES = ['refused', 'unavailable', 'invalid'] as const;
const RUNNING = ROTATION_PHASES.filter(isRunning);
const DONE: StepOutcome = { done: true };
const failed = (failure: (typeof FAILURES)[number]): StepOutcome => ({ failure, detail: 'why' });
const at = (phase: RunningPhase, failures = 0) => ({ phase, failures, lastError: 'before' });
/** How often in a row a failure is tried again. */
const tries = (phase: RunningPhase, failure: (typeof FAILURES)[number]): number => {
  let count = 0;
  for (let state: RotationProgress = at(phase); state.phase === phase && isRunning(state.phase); count++)
    state = afterStep({ ...state, phase: state.phase }, failed(failure), OVERLAP_MS);
  return count;
};

describe('a rotation', () => {
  // biome-ignore format: a table is read column by column
  it.each([
    ['Creating',  'Applying',  'Invalid',   0],
    ['Applying',  'Testing',   'Reverting', 0],
    ['Testing',   'Promoting', 'Reverting', 0],
    ['Promoting', 'Settling',  undefined,   OVERLAP_MS],
    ['Settling',  'Retiring',  undefined,   0],
    ['Retiring',  'Idle',      'Invalid',   0],
    ['Reverting', 'Invalid',   'Invalid',   0],
  ] as const)('goes from %s to %s, or to %s when its target fails for good', (phase, done, gone, waitMs) => {
    expect(afterStep(at(phase), DONE, OVERLAP_MS)).toMatchObject({ phase: done, failures: 0, waitMs });
    if (gone === undefined) return expect(() => afterStep(at(phase), failed('refused'), OVERLAP_MS)).toThrow(RangeError);
    expect(afterStep(at(phase), failed('invalid'), OVERLAP_MS)).toEqual({ phase: gone, failures: 0, lastError: `${phase}: invalid: why`, waitMs: 0 });
    return expect([tries(phase, 'unavailable'), tries(phase, 'refused'), tries(phase, 'invalid')]).toEqual([8, 3, 1]);
  });

  it('has no other phases', () => {
    expect(RUNNING).toEqual(Object.keys(ROTATION));
    expect(ROTATION_PHASES.filter((phase) => !isRunning(phase))).toEqual(['Idle', 'Invalid']);
  });

  it('waits longer after each failure', () => {
    const waits: number[] = [];
    for (let failures = 0; failures < 7; failures++) waits.push(afterStep(at('Applying', failures), failed('unavailable'), 0).waitMs);
    expect(waits).toEqual([...waits].sort((a, b) => a - b));
    expect(waits[0]).toBe(5000);
  });

  it('tells why it failed until one succeeds', () => {
    expect(afterStep(at('Applying'), DONE, 0).lastError).toBe('before');
    expect(afterStep(at('Reverting'), DONE, 0).lastError).toBe('before');
    expect(afterStep(at('Retiring'), DONE, 0).lastError).toBeUndefined();
    expect(afterStep(at('Applying'), { failure: 'refused', detail: 'x'.repeat(500) }, 0).lastError).toHaveLength(200);
  });

  const outcomes = fc.array(fc.constantFrom(DONE, ...FAILURES.map(failed)), { minLength: 80, maxLength: 80 });

  it('ends, whatever its target does: after promotion with what was promoted, before it with what was current', () => {
    fc.assert(
      fc.property(fc.boolean(), outcomes, (hasPending, all) => {
        let state: RotationProgress = { phase: firstPhase(hasPending), failures: 0, lastError: undefined };
        const path: string[] = [];
        for (const outcome of all) {
          if (!isRunning(state.phase)) break;
          path.push(state.phase);
          const { phase } = state;
          state = afterStep({ ...state, phase }, ROTATION[phase].step === undefined ? DONE : outcome, OVERLAP_MS);
        }
        expect(isRunning(state.phase)).toBe(false);
        const [promoted, reverted] = [path.includes('Promoting'), path.includes('Reverting')];
        expect(promoted && reverted).toBe(false);
        // Nothing is promoted that did not pass its test, and nothing is tested that was not applied after it was stored.
        const order = path.filter((phase, index) => phase !== path[index - 1]);
        const whole = [...(hasPending ? [] : ['Creating']), 'Applying', 'Testing', 'Promoting', 'Settling', 'Retiring'];
        expect(order.filter((phase) => phase !== 'Reverting')).toEqual(
          whole.slice(0, order.filter((phase) => phase !== 'Reverting').length),
        );
        if (state.phase === 'Idle') expect(promoted).toBe(true);
        else expect(state.lastError).toBeDefined();
      }),
    );
  });
});
