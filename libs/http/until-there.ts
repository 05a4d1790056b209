import { setTimeout as sleep } from 'node:timers/promises';
import { KeywardError } from '#core';
import type { Log } from './edge-log.js';

const RETRY_MS = 250;
/** Said once, and then as rarely as somebody reads a log. */
const SAY_EVERY = 40;

/**
 * Opens a part that the process needs, for as long as it takes: a plane that starts before its database waits for it.
 * @throws whatever `open` throws that is not `unavailable`
 */
export async function untilThere<Part>(log: Log, name: string, open: () => Promise<Part>): Promise<Part> {
  for (let attempt = 0; ; attempt++) {
    try {
      return await open();
    } catch (error) {
      if (!(error instanceof KeywardError) || error.code !== 'unavailable') throw error;
      if (attempt % SAY_EVERY === 0) log.warn({ part: name, reason: error.reason }, 'waiting for a part');
    }
    await sleep(RETRY_MS);
  }
}
