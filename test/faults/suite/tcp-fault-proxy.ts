import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';

/**
 * What can be wrong between two ends:
 * - `cut`: every connection is reset, and each new one at once.
 * - `half-open`: the server's end of every connection is reset, and the client hears nothing of it; new ones work.
 * - `held`: nothing passes either way; afterwards it arrives after all.
 * - `deaf`: requests pass, their answers never arrive; afterwards these connections are reset.
 */
export const TROUBLES = ['cut', 'half-open', 'held', 'deaf'] as const;
export type Trouble = (typeof TROUBLES)[number];

interface Link {
  readonly near: Socket;
  readonly far: Socket;
}

/** A TCP proxy on loopback in front of one port, which is well until it is told what is wrong. */
export class TcpFaultProxy {
  readonly #links = new Set<Link>();
  readonly #abandoned = new Set<Socket>();
  #trouble: Trouble | undefined;
  /** The port behind it; may be known later than its own. */
  target: number | undefined;

  private constructor(private readonly server: Server) {
    server.on('connection', (near) => this.#accept(near));
  }

  /** On a free port of 127.0.0.1. */
  static async start(target?: number): Promise<TcpFaultProxy> {
    const server = createServer();
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const proxy = new TcpFaultProxy(server);
    proxy.target = target;
    return proxy;
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  /** Connections that pass, or would. */
  get connections(): number {
    return this.#links.size;
  }

  /** From now on, for connections that exist and, but for `half-open`, for new ones. */
  begin(trouble: Trouble): void {
    this.heal();
    this.#trouble = trouble === 'half-open' ? undefined : trouble;
    for (const link of this.#links) {
      if (trouble === 'cut') reset(link);
      else if (trouble === 'half-open') this.#abandon(link);
      else this.#join(link);
    }
  }

  /** What was held goes on; whoever waits for an answer that was swallowed learns that it will not come. */
  heal(): void {
    const was = this.#trouble;
    this.#trouble = undefined;
    for (const near of this.#abandoned) near.resetAndDestroy();
    for (const link of this.#links) {
      if (was === 'deaf') reset(link);
      else if (was === 'held') this.#join(link);
    }
  }

  async stop(): Promise<void> {
    this.heal();
    this.server.close();
    for (const link of this.#links) reset(link);
    await once(this.server, 'close');
  }

  #accept(near: Socket): void {
    near.on('error', ignored);
    if (this.#trouble === 'cut' || this.target === undefined) {
      near.resetAndDestroy();
      return;
    }
    const far = connect(this.target, '127.0.0.1');
    far.on('error', ignored);
    for (const socket of [near, far]) socket.setNoDelay(true);
    const link = { near, far };
    this.#links.add(link);
    near.on('close', () => {
      this.#links.delete(link);
      this.#abandoned.delete(near);
      far.destroy();
    });
    far.on('close', () => this.#abandoned.has(near) || near.destroy());
    this.#join(link);
  }

  /** As the trouble says: both ways, one way, or none. */
  #join({ near, far }: Link): void {
    direct(near, far, this.#trouble !== 'held');
    direct(far, near, this.#trouble === undefined);
  }

  #abandon({ near, far }: Link): void {
    direct(near, far, false);
    this.#abandoned.add(near);
    far.resetAndDestroy();
  }
}

function direct(from: Socket, to: Socket, passes: boolean): void {
  from.unpipe(to);
  if (passes) from.pipe(to);
  else from.pause();
}

function reset({ near, far }: Link): void {
  near.resetAndDestroy();
  far.resetAndDestroy();
}

/** The other end learns of it by `close`. */
const ignored = () => undefined;
