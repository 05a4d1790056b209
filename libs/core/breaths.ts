import { setImmediate } from 'node:timers/promises';

/** One tenant's long work on a plane's only thread must not hold up another tenant's stop. */
const LONGEST_BREATH_MS = 10;

/** To be awaited between the steps of long work: lets everybody else have a turn when it is their time. */
export function takingBreaths(): () => Promise<void> {
  let since = performance.now();
  return async () => {
    if (performance.now() - since < LONGEST_BREATH_MS) return;
    await setImmediate();
    since = performance.now();
  };
}
