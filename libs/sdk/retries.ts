import { setTimeout as sleep } from 'node:timers/promises';
import { KeywardError } from './errors.js';

export interface Patience {
  /** How often one call is tried in all. */
  readonly attempts: number;
  /** How long one attempt may take. */
  readonly attemptMs: number;
  /** How long a call may take in all, waits included. */
  readonly totalMs: number;
  /** The first wait is at most this long, each next one at most twice as long, up to `MAX_BACKOFF_MS`. */
  readonly backoffMs: number;
}

export const DEFAULT_PATIENCE: Patience = { attempts: 3, attemptMs: 5_000, totalMs: 15_000, backoffMs: 100 };
/** Its own fields of options that may hold more. */
export function patienceOf(options: Partial<Patience>): Patience {
  const { attempts, attemptMs, totalMs, backoffMs } = { ...DEFAULT_PATIENCE, ...options };
  return { attempts, attemptMs, totalMs, backoffMs };
}

const MAX_BACKOFF_MS = 5_000;

/**
 * Tries until it works, a retry is pointless, or patience ends; then throws the last error. Waits are random between nothing and a
 * doubling bound ("full jitter"), so that clients that failed together do not come back together, and never shorter than Retry-After.
 */
export async function withRetries<Answer>(patience: Patience, attempt: (timeoutMs: number) => Promise<Answer>): Promise<Answer> {
  const deadline = Date.now() + patience.totalMs;
  for (let tried = 1; ; tried++) {
    try {
      return await attempt(Math.max(1, Math.min(patience.attemptMs, deadline - Date.now())));
    } catch (error) {
      if (!(error instanceof KeywardError) || !error.retryable || tried >= patience.attempts) throw error;
      const wait = waitBefore(tried, patience, error.retryAfterMs ?? 0);
      if (Date.now() + wait >= deadline) throw error;
      await sleep(wait);
    }
  }
}

/** Before attempt `retry` + 1, in milliseconds. */
export function waitBefore(retry: number, { backoffMs }: Patience, atLeast: number): number {
  const bound = Math.min(backoffMs * 2 ** (retry - 1), MAX_BACKOFF_MS);
  return atLeast + Math.random() * bound;
}
