import { chmodSync, lstatSync, mkdirSync, rmSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import type { Server, Socket } from 'node:net';
import { dirname } from 'node:path';
import { FrameReader } from './frames.js';
import { Outbox } from './outbox.js';
import { CODE, GATHERED, messages, MOST_TOGETHER, packedTogether, TOGETHER } from './wire.js';

/**
 * Does one operation. `args` are views that are wiped as soon as it returns, so an asynchronous one copies first. An answer's
 * bytes are wiped once they are sent: an answer is always made for its caller.
 */
export type Handler = (tenant: string, args: readonly unknown[]) => unknown;

export interface PlaneSocketOptions {
  readonly socketPath: string;
  /** Handlers by operation number: what is not here is refused. */
  readonly operations: ReadonlyMap<number, Handler>;
  /** The code for a handler's error; called for every error, so it is the place to log. */
  readonly codeOf: (error: unknown) => number;
}

/** sockaddr_un on Linux and macOS cuts longer paths without a word. */
const MAX_PATH_BYTES = 107;
const MAX_CONNECTIONS = 256;
/** A plane that does not read its replies is not served until it does. */
const MAX_UNSENT_BYTES = 1 << 20;

/** One plane's socket, in a directory that only its user may enter. */
export class PlaneSocket {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  constructor(private readonly options: PlaneSocketOptions) {
    this.#server = createServer((socket) => this.#serve(socket));
    this.#server.maxConnections = MAX_CONNECTIONS;
  }

  /** @throws Error when the path is too long, or another custodian serves it. */
  async listen(): Promise<void> {
    const { socketPath } = this.options;
    if (Buffer.byteLength(socketPath) > MAX_PATH_BYTES)
      throw new Error(`The socket path ${socketPath} is longer than ${MAX_PATH_BYTES} bytes; set KEYWARD_SOCKET_DIR to a shorter one.`);
    mkdirSync(dirname(socketPath), { recursive: true, mode: 0o700 });
    chmodSync(dirname(socketPath), 0o700);
    await removeStale(socketPath);
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(socketPath, resolve);
    });
  }

  /** Takes no new calls; replies that were made go out first. */
  async close(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    for (const socket of this.#sockets) socket.end(() => socket.destroy());
    await closed;
  }

  #serve(socket: Socket): void {
    const outbox = new Outbox(socket);
    const reader = new FrameReader((frame) => this.#receive(frame, outbox));
    this.#sockets.add(socket);
    socket.on('data', (bytes: Buffer) => {
      try {
        reader.push(bytes);
        outbox.flush();
        if (socket.writableLength > MAX_UNSENT_BYTES) socket.pause();
      } catch {
        // Not a frame of ours: the rest of the stream means nothing.
        socket.destroy();
      }
    });
    socket.on('drain', () => socket.resume());
    socket.on('error', () => socket.destroy());
    socket.on('close', () => {
      this.#sockets.delete(socket);
      reader.wipe();
      outbox.wipe();
    });
  }

  #receive(frame: Buffer, outbox: Outbox): void {
    const request: unknown = messages.unpack(frame);
    if (!Array.isArray(request)) throw new TypeError('Not a request.');
    const parts: readonly unknown[] = request;
    const [id, operation, tenant, args] = parts;
    if (typeof id !== 'number' || typeof operation !== 'number' || typeof tenant !== 'string' || !Array.isArray(args))
      throw new TypeError('Not a request.');
    if (operation === TOGETHER) return this.#doTogether(id, tenant, args, outbox);
    const handler = this.options.operations.get(operation);
    if (handler === undefined) return outbox.push(messages.pack([id, CODE.notAllowed]));
    try {
      const result = handler(tenant, args);
      if (result instanceof Promise) void this.#answerLater(id, result, outbox);
      else answer(id, result, outbox);
    } catch (error) {
      outbox.push(messages.pack([id, this.options.codeOf(error)]));
    }
  }

  /** Uses of one key, each done and answered by itself. */
  #doTogether(id: number, tenant: string, [operation, row, items]: readonly unknown[], outbox: Outbox): void {
    if (typeof operation !== 'number' || !Array.isArray(items) || items.length > MOST_TOGETHER || !items.every(Array.isArray))
      throw new TypeError('Not a request.');
    const handler = GATHERED.has(operation) ? this.options.operations.get(operation) : undefined;
    if (handler === undefined) return outbox.push(messages.pack([id, CODE.notAllowed]));
    const replies = items.map((args: readonly unknown[]) => this.#replyOf(handler, tenant, [row, ...args]));
    try {
      outbox.push(packedTogether([id, CODE.ok, replies]));
    } finally {
      for (const [, result] of replies) wipe(result);
    }
  }

  #replyOf(handler: Handler, tenant: string, args: readonly unknown[]): readonly unknown[] {
    try {
      return [CODE.ok, handler(tenant, args)];
    } catch (error) {
      return [this.options.codeOf(error)];
    }
  }

  async #answerLater(id: number, result: Promise<unknown>, outbox: Outbox): Promise<void> {
    try {
      answer(id, await result, outbox);
    } catch (error) {
      outbox.push(messages.pack([id, this.options.codeOf(error)]));
    }
    outbox.flush();
  }
}

function answer(id: number, result: unknown, outbox: Outbox): void {
  outbox.push(messages.pack([id, CODE.ok, result]));
  wipe(result);
}

function wipe(result: unknown): void {
  if (!Array.isArray(result)) return;
  for (const part of result) if (part instanceof Uint8Array) part.fill(0);
}

/** A killed custodian leaves its socket; one that still answers is a second custodian. */
async function removeStale(path: string): Promise<void> {
  const there = lstatSync(path, { throwIfNoEntry: false });
  if (there === undefined) return;
  if (!there.isSocket()) throw new Error(`${path} is not a socket.`);
  if (await answers(path)) throw new Error(`Another custodian serves ${path}.`);
  rmSync(path, { force: true });
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
