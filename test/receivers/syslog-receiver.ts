import type { AddressInfo } from 'node:net';
import { createServer, type Server, type TLSSocket } from 'node:tls';
import { AUTHORITY, SERVER } from './tls.js';

/** A receiver of syslog over TLS (RFC 5425), which asks for a client's certificate if told to. */
export class SyslogReceiver {
  /** Messages without their length, in the order in which they came. */
  readonly messages: string[] = [];
  /** After so many octets of a connection it is broken off. */
  breaksAfter = Number.POSITIVE_INFINITY;
  readonly #sockets = new Set<TLSSocket>();

  private constructor(private readonly server: Server) {}

  static async start({ asksForClient = false, host = '127.0.0.1' } = {}): Promise<SyslogReceiver> {
    const server = createServer({ ...SERVER, ca: AUTHORITY, requestCert: asksForClient, rejectUnauthorized: asksForClient });
    const receiver = new SyslogReceiver(server);
    server.on('secureConnection', (socket) => receiver.#read(socket));
    await new Promise<void>((resolve) => server.listen(0, host, resolve));
    return receiver;
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  get seqs(): number[] {
    return this.messages.flatMap(
      (message) => /^<\d+>1 \S+ \S+ keyward - \S+ \[[^ ]+ log="[^"]*" seq="(\d+)"/.exec(message)?.slice(1).map(Number) ?? [],
    );
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.server.close(resolve));
  }

  #read(socket: TLSSocket): void {
    this.#sockets.add(socket);
    let pending = Buffer.alloc(0);
    let octets = 0;
    socket.on('error', () => undefined);
    socket.on('close', () => this.#sockets.delete(socket));
    socket.on('data', (chunk: Buffer) => {
      octets += chunk.length;
      if (octets > this.breaksAfter) return socket.destroy();
      pending = Buffer.concat([pending, chunk]);
      for (let message = nextIn(pending); message !== undefined; message = nextIn(pending)) {
        this.messages.push(message.text);
        pending = pending.subarray(message.end);
      }
    });
  }
}

/** MSG-LEN SP SYSLOG-MSG (RFC 5425 §4.3). */
function nextIn(bytes: Buffer): { text: string; end: number } | undefined {
  const space = bytes.indexOf(0x20);
  if (space < 0) return undefined;
  const end = space + 1 + Number(bytes.subarray(0, space).toString('ascii'));
  return end > bytes.length ? undefined : { text: bytes.subarray(space + 1, end).toString('utf8'), end };
}
