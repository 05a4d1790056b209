import { setImmediate } from 'node:timers/promises';
import type { TenantId } from '#contract';
import { KeywardError } from '../errors.js';

const MOST_WAITING = 256;

/**
 * Work that keeps a plane's only thread busy, for each tenant one call after the other, with a turn for everybody else between: else one
 * tenant's flood of it holds up another tenant's stop for seconds.
 */
export class TenantTurns {
  readonly #lines = new Map<TenantId, { waiting: number; last: Promise<unknown> }>();

  /** @throws KeywardError too-many-requests when too many calls of this tenant wait already, and what `work` throws */
  async run<Answer>(tenant: TenantId, work: () => Promise<Answer>): Promise<Answer> {
    const line = this.#lines.get(tenant) ?? { waiting: 0, last: Promise.resolve() };
    if (line.waiting >= MOST_WAITING)
      throw new KeywardError('too-many-requests', 'Too many calls about this policy are under way.', { retryAfterSeconds: 1 });
    this.#lines.set(tenant, line);
    line.waiting++;
    const mine = line.last.then(() => setImmediate()).then(work);
    line.last = mine.catch(() => undefined);
    try {
      return await mine;
    } finally {
      line.waiting--;
      if (line.waiting === 0) this.#lines.delete(tenant);
    }
  }
}
