import { setTimeout as sleep } from 'node:timers/promises';

export interface LoopLog {
  info(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

/** A record is under a checkpoint within two seconds: half a second of waiting leaves time for the work. */
const PAUSE_MS = 500;

/** Repeats `round` with pauses until `stop` aborts. A failing round is told once, and again when it works. */
export async function repeat(round: () => Promise<void>, log: LoopLog, stop: AbortSignal): Promise<void> {
  let failing = false;
  while (!stop.aborted) {
    try {
      await round();
      if (failing) log.info({}, 'rounds work again');
      failing = false;
    } catch (error) {
      if (!failing) log.error({ err: error }, 'a round failed; it is repeated');
      failing = true;
    }
    await sleep(PAUSE_MS, undefined, { signal: stop }).catch(() => undefined);
  }
}
