import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { CustodyUnavailable, DecryptFailed, KeyBindingBroken, KeyDestroyed, KeywardError, PermitMisused } from '#core';
import { CheckpointRefused } from '../checkpoint-refused.js';
import { CustodyBusy } from '../custody-busy.js';
import { ImportRefused } from '../import-refused.js';
import { NotCapable } from '../not-capable.js';
import { FrameReader } from './frames.js';
import { GatheredCalls } from './gathered-calls.js';
import { Outbox } from './outbox.js';
import { CODE, messages, packedTogether } from './wire.js';

/** One call that waits for its reply. */
export interface Call<Answer> {
  readonly operation: number;
  readonly tenant: string;
  readonly args: readonly unknown[];
  /** Copies an answer out of the frame, which is wiped afterwards. @throws when it is not what was asked for. */
  readonly read: (result: unknown) => Answer;
  readonly timeoutMs: number;
  /** The key version concerned, for the error's text. */
  readonly subject: string;
}

interface Pending {
  readonly subject: string;
  readonly deadline: number;
  settle(result: unknown): void;
  reject(error: Error): void;
}

const RECEIVE_BYTES = 65_536;
const SWEEP_MS = 50;
/** Far more than an HSM answers within a call's time: whoever comes later is told at once instead of waiting in vain. */
const MAX_PENDING = 4096;

/**
 * One connection to a custodian. Ids count up and are never used again on it; a reply that nobody asked for, a frame that does
 * not parse or a call that takes too long closes it: mixed-up replies would give one tenant another's data key.
 */
export class Connection {
  readonly #socket: Socket;
  readonly #outbox: Outbox;
  readonly #pending = new Map<number, Pending>();
  /** By the id of the first, how many calls wait for one reply. */
  readonly #together = new Map<number, number>();
  readonly #gathered = new GatheredCalls((content, id, calls) => {
    this.#outbox.push(calls > 1 ? packedTogether(content) : messages.pack(content));
    if (calls > 1) this.#together.set(id, calls);
  });
  readonly #sweep: NodeJS.Timeout;
  #lastId = 0;
  #flushing = false;
  #open = true;

  private constructor(
    socket: Socket,
    private readonly reader: FrameReader,
    private readonly onClose: () => void,
  ) {
    this.#socket = socket;
    this.#outbox = new Outbox(socket);
    this.#sweep = setInterval(() => this.#closeIfLate(), SWEEP_MS).unref();
    socket.on('error', () => this.close('the connection failed'));
    socket.on('close', () => this.close('the custodian closed the connection'));
  }

  /** Resolves when connected. `onClose` is called once, at its end. @throws Error of the system when nobody listens. */
  static to(socketPath: string, onClose: () => void): Promise<Connection> {
    return new Promise((resolve, reject) => {
      const buffer = Buffer.alloc(RECEIVE_BYTES);
      const reader = new FrameReader((frame) => connection?.receive(frame));
      // One receive buffer of our own: it holds data keys, and is wiped after each read.
      const receive = (size: number) => connection?.take(buffer.subarray(0, size)) ?? true;
      const socket = connect({ path: socketPath, onread: { buffer, callback: receive } });
      let connection: Connection | undefined;
      socket.once('error', reject);
      socket.once('connect', () => {
        socket.off('error', reject);
        connection = new Connection(socket, reader, onClose);
        resolve(connection);
      });
    });
  }

  /** @throws CustodyUnavailable, or what the reply's code means. */
  call<Answer>(call: Call<Answer>): Promise<Answer> {
    return new Promise((resolve, reject) => {
      if (!this.#open) return reject(new CustodyUnavailable('the connection is closed'));
      if (this.#pending.size >= MAX_PENDING) return reject(new CustodyUnavailable('too many calls wait for the custodian'));
      const id = ++this.#lastId;
      this.#gathered.add(id, call);
      this.#pending.set(id, {
        subject: call.subject,
        deadline: performance.now() + call.timeoutMs,
        settle: (result) => resolve(call.read(result)),
        reject,
      });
      if (this.#flushing) return;
      this.#flushing = true;
      setImmediate(this.#flush);
    });
  }

  /** Closes and rejects whatever is in flight: nobody knows whether it was done. */
  close(reason: string): void {
    if (!this.#open) return;
    this.#open = false;
    clearInterval(this.#sweep);
    this.#socket.destroy();
    this.reader.wipe();
    this.#outbox.wipe();
    for (const pending of this.#pending.values()) pending.reject(new CustodyUnavailable(reason));
    this.#pending.clear();
    this.onClose();
  }

  /** The calls of one turn of the event loop go out in one write. */
  readonly #flush = (): void => {
    this.#flushing = false;
    if (!this.#open) return;
    this.#gathered.flush();
    this.#outbox.flush();
  };

  private take(bytes: Buffer): boolean {
    try {
      this.reader.push(bytes);
    } catch {
      // Whatever it was, the stream cannot be trusted from here on.
      this.close('the custodian sent something that is not a reply');
    }
    return this.#open;
  }

  private receive(frame: Buffer): void {
    const reply: unknown = messages.unpack(frame);
    if (!Array.isArray(reply)) throw new TypeError('Not a reply.');
    const parts: readonly unknown[] = reply;
    const [id, code, result] = parts;
    if (typeof id !== 'number') throw new TypeError('A reply that nobody asked for.');
    const calls = this.#together.get(id);
    this.#together.delete(id);
    if (calls === undefined || code !== CODE.ok) for (let at = 0; at < (calls ?? 1); at++) this.#settle(id + at, code, result);
    else repliesTo(calls, result).forEach((each, at) => this.#settle(id + at, each[0], each[1]));
  }

  #settle(id: number, code: unknown, result: unknown): void {
    const pending = this.#pending.get(id);
    if (pending === undefined) throw new TypeError('A reply that nobody asked for.');
    if (code === CODE.ok) pending.settle(result);
    else pending.reject(errorOf(code, pending.subject));
    this.#pending.delete(id);
  }

  /** Late may be this process: replies that came while its event loop stood still are read before the immediates run. */
  #closeIfLate(): void {
    const now = performance.now();
    if (this.#isLate(now)) setImmediate(() => this.#isLate(now) && this.close('the custodian took too long'));
  }

  #isLate(now: number): boolean {
    return this.#pending.values().some(({ deadline }) => deadline < now);
  }
}

/** @throws TypeError when they are not as many as were asked for */
function repliesTo(calls: number, result: unknown): readonly (readonly unknown[])[] {
  if (!Array.isArray(result) || result.length !== calls || !result.every(Array.isArray)) throw new TypeError('Not a reply.');
  return result;
}

function errorOf(code: unknown, subject: string): KeywardError {
  switch (code) {
    case CODE.unavailable:
      return new CustodyUnavailable('the HSM is not available');
    case CODE.decryptFailed:
      return new DecryptFailed('wrong-tag-or-context');
    case CODE.keyBindingBroken:
      return new KeyBindingBroken(subject);
    case CODE.notAllowed:
      return new PermitMisused('This socket does not accept the operation.');
    case CODE.keyDestroyed:
      return new KeyDestroyed();
    case CODE.checkpointRefused:
      return new CheckpointRefused(subject);
    case CODE.notCapable:
      return new NotCapable();
    case CODE.notMaterial:
      return new ImportRefused('notMaterial');
    case CODE.otherMaterial:
      return new ImportRefused('otherMaterial');
    case CODE.importExpired:
      return new ImportRefused('importExpired');
    case CODE.busy:
      return new CustodyBusy();
    default:
      return new KeywardError('internal', '', { reason: 'custody: the custodian could not read the request' });
  }
}
