import { setTimeout as sleep } from 'node:timers/promises';
import { KeywardError } from './errors.js';
import { waitBefore } from './retries.js';

export interface LongPatience {
  readonly signal?: AbortSignal | undefined;
  /** How long it goes on trying while Keyward is away; default 5 minutes. */
  readonly patienceMs?: number | undefined;
}

const PATIENCE_MS = 300_000;
const BACKOFF = { attempts: Number.POSITIVE_INFINITY, attemptMs: 0, totalMs: 0, backoffMs: 200 };

/** A call that may be made again, until it is answered. @throws KeywardError that is not retryable, or the last one; the reason of `signal` */
export async function patiently<Answer>({ signal, patienceMs = PATIENCE_MS }: LongPatience, call: () => Promise<Answer>): Promise<Answer> {
  const deadline = performance.now() + patienceMs;
  for (let tried = 1; ; tried++) {
    signal?.throwIfAborted();
    try {
      return await call();
    } catch (error) {
      if (!(error instanceof KeywardError) || !error.retryable || performance.now() > deadline) throw error;
      await sleep(waitBefore(tried, BACKOFF, error.retryAfterMs ?? 0), undefined, { signal });
    }
  }
}
