import { Egress, type EgressConnection, type EgressDial, EgressError, type EgressRequest } from '#http/egress';
import type { Socket } from 'node:net';
import { type Reach, TargetError } from '../../apps/worker/targets/rotation-target.js';

/** A way out that counts what it opens, and whose connections can break off. */
export class TestReach implements Reach {
  opened = 0;
  #arrivals = 0;
  readonly #names = new Map<string, string>();
  readonly #end = new AbortController();
  readonly #egress: Egress;

  /** @param breaksAt the how manieth arrival of bytes is the last one */
  constructor(
    allow: readonly string[],
    private readonly breaksAt = Number.POSITIVE_INFINITY,
  ) {
    this.#egress = new Egress({ allow });
  }

  get broke(): boolean {
    return this.#arrivals >= this.breaksAt;
  }

  /** As a name server would have it. */
  leadingTo(name: string, address: string): this {
    this.#names.set(name, address);
    return this;
  }

  async dial({ host, ...to }: EgressDial): Promise<Socket> {
    return this.#watched(await this.#egress.dial({ ...to, host: this.#names.get(host) ?? host }, this.#end.signal));
  }

  async connect(to: EgressConnection): ReturnType<Reach['connect']> {
    return this.#watched(await this.#egress.connect(to, this.#end.signal));
  }

  async exchange(url: string, request: Omit<EgressRequest, 'timeLimitMs'>): ReturnType<Reach['exchange']> {
    return await this.#egress.exchange(url, { ...request, timeLimitMs: 10_000 });
  }

  close(): void {
    this.#end.abort(new Error('The test has ended.'));
  }

  #watched<Opened extends Socket>(socket: Opened): Opened {
    this.opened++;
    const { push } = socket;
    // Whatever reads the socket, and whenever it begins to: bytes pass here.
    socket.push = (chunk, encoding) => {
      if (chunk !== null && ++this.#arrivals >= this.breaksAt) {
        socket.destroy();
        return false;
      }
      return push.call(socket, chunk, encoding);
    };
    return socket;
  }
}

/** Why a step failed, as whoever runs it sees it: an address that is not allowed is a refusal. */
export async function reasonOf(step: Promise<unknown>): Promise<string> {
  try {
    await step;
    return 'done';
  } catch (error) {
    if (error instanceof TargetError) return error.reason;
    if (error instanceof EgressError) return ['url', 'port', 'address'].includes(error.reason) ? 'refused' : 'unavailable';
    throw error;
  }
}
