import { setTimeout as sleep } from 'node:timers/promises';

export interface LoopLog {
  info(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

/** A record is under a checkpoint within two seconds: rounds that begin twice a second leave time for the work. */
const EVERY_MS = 500;
/** Between two rounds, however long they take: whoever else uses the processor and the database has a turn. */
const REST_MS = 100;

/** Repeats `round`, twice a second or as often as it can be done, until `stop` aborts. A failing round is told once, and again when it works. */
export async function repeat(round: () => Promise<void>, log: LoopLog, stop: AbortSignal): Promise<void> {
  let failing = false;
  while (!stop.aborted) {
    const began = performance.now();
    try {
      await round();
      if (failing) log.info({}, 'rounds work again');
      failing = false;
    } catch (error) {
      if (!failing) log.error({ err: error }, 'a round failed; it is repeated');
      failing = true;
    }
    await sleep(Math.max(REST_MS, began + EVERY_MS - performance.now()), undefined, { signal: stop }).catch(() => undefined);
  }
}
