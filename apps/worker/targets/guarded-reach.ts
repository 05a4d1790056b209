import type { Socket } from 'node:net';
import { Egress, type EgressConnection, type EgressOptions, type EgressRequest } from '#http/egress';
import type { Reach } from './rotation-target.js';

/** The way out of one turn: whatever it opens is closed when the turn ends, or its time. */
export class GuardedReach implements Reach {
  readonly #egress: Egress;
  readonly #end = new AbortController();
  readonly #limit: AbortSignal;
  readonly #endsAt: number;

  constructor(options: Pick<EgressOptions, 'allow' | 'ports' | 'resolve'>, timeLimitMs: number) {
    this.#egress = new Egress(options);
    this.#limit = AbortSignal.any([this.#end.signal, AbortSignal.timeout(timeLimitMs)]);
    this.#endsAt = performance.now() + timeLimitMs;
  }

  async dial(to: Pick<EgressConnection, 'host' | 'port'>): Promise<Socket> {
    return await this.#egress.dial(to, this.#limit);
  }

  async connect(to: EgressConnection): ReturnType<Reach['connect']> {
    return await this.#egress.connect(to, this.#limit);
  }

  async exchange(url: string, request: Omit<EgressRequest, 'timeLimitMs'>): ReturnType<Reach['exchange']> {
    this.#limit.throwIfAborted();
    return await this.#egress.exchange(url, { ...request, timeLimitMs: Math.max(1, Math.ceil(this.#endsAt - performance.now())) });
  }

  close(): void {
    this.#end.abort(new Error('The turn has ended.'));
  }
}
