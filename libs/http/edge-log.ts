import type { TenantId } from '#contract';
import type { KeywardError } from '#core';

/** What the edge needs of a logger. */
export interface Log {
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

const LINES_PER_SECOND = 5;

/** Tells the operator of defects and of missing parts; an outage under load must not fill the disk. */
export class EdgeLog {
  #second = 0;
  #lines = 0;
  #suppressed = 0;

  constructor(private readonly log: Log) {}

  failed(error: KeywardError, requestId: string): void {
    if (error.code !== 'internal' && error.code !== 'unavailable') return;
    if (!this.#mayWrite(Math.floor(performance.now() / 1000))) return;
    const suppressed = this.#suppressed;
    this.#suppressed = 0;
    const fields = {
      requestId,
      reason: error.reason,
      ...(suppressed > 0 && { suppressed }),
      ...(error.cause !== undefined && { defect: described(error.cause) }),
    };
    if (error.code === 'internal') this.log.error(fields, 'a call failed by a defect');
    else this.log.warn(fields, 'a call found a part missing');
  }

  /** People of this tenant cannot sign in: its own provider's fault, or of the way there. */
  providerSilent(tenant: TenantId, reason: string): void {
    if (this.#mayWrite(Math.floor(performance.now() / 1000))) this.log.warn({ tenant, reason }, 'no keys from an identity provider');
  }

  #mayWrite(second: number): boolean {
    if (second !== this.#second) {
      this.#second = second;
      this.#lines = 0;
    }
    if (this.#lines++ < LINES_PER_SECOND) return true;
    this.#suppressed++;
    return false;
  }
}

/** Its class and where it was thrown. Not its message: what nobody foresaw may quote a body (JSON.parse does), a row or a key. */
function described(cause: unknown): { type: string; at?: string[] } {
  if (!(cause instanceof Error)) return { type: typeof cause };
  const frames = (cause.stack ?? '').replace(cause.message, '').split('\n').slice(1);
  return { type: cause.name, at: frames.map((frame) => frame.trim()).slice(0, 10) };
}
