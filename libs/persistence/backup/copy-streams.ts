import { Readable, Writable } from 'node:stream';
import type pg from 'pg';

/** What node-postgres has, and its types do not tell. */
declare module 'pg' {
  interface Connection {
    sendCopyFromChunk(chunk: Uint8Array): void;
    endCopyFrom(): void;
    sendCopyFail(message: string): void;
  }
}

type Done = (error?: Error | null) => void;
const rowsIn = (tag: string): number => Number(tag.split(' ').at(-1));

/** The bytes of one `COPY … TO STDOUT`, as they come; pass it to `client.query`. The protocol: PostgreSQL, "COPY Operations". */
export class CopyOut extends Readable implements pg.Submittable {
  /** Known when the stream has ended. */
  rows = 0;
  #connection: pg.Connection | undefined;

  constructor(private readonly sql: string) {
    super();
  }

  submit(connection: pg.Connection): void {
    this.#connection = connection;
    connection.query(this.sql);
  }

  handleCopyData({ chunk }: { readonly chunk: Buffer }): void {
    // A view of the connection's buffer, which is written over. What nobody waits for waits in the server.
    if (!this.push(Buffer.from(chunk))) this.#connection?.stream.pause();
  }

  handleCommandComplete({ text }: { readonly text: string }): void {
    this.rows = rowsIn(text);
  }

  handleReadyForQuery(): void {
    this.push(null);
  }

  handleError(error: Error): void {
    this.destroy(error);
  }

  override _read(): void {
    this.#connection?.stream.resume();
  }

  /** A connection that is paused would never be closed. */
  override _destroy(error: Error | null, done: Done): void {
    this.#connection?.stream.resume();
    done(error);
  }
}

/** Takes the bytes of one `COPY … FROM STDIN`; pass it to `client.query`. Finished when the server has taken all of them. */
export class CopyIn extends Writable implements pg.Submittable {
  /** Known when the stream has finished. */
  rows = 0;
  #connection: pg.Connection | undefined;
  #ready: Done | undefined;
  #isOver = false;
  #finished: Done | undefined;

  constructor(private readonly sql: string) {
    super();
  }

  submit(connection: pg.Connection): void {
    this.#connection = connection;
    connection.query(this.sql);
  }

  override _construct(done: Done): void {
    this.#ready = done;
  }

  handleCopyInResponse(): void {
    this.#begin();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: Done): void {
    const connection = this.#connection!;
    connection.sendCopyFromChunk(chunk);
    if (connection.stream.writableNeedDrain) connection.stream.once('drain', () => done());
    else done();
  }

  override _final(done: Done): void {
    this.#finished = done;
    this.#connection!.endCopyFrom();
  }

  handleCommandComplete({ text }: { readonly text: string }): void {
    this.rows = rowsIn(text);
  }

  handleReadyForQuery(): void {
    this.#isOver = true;
    this.#finished?.();
  }

  handleError(error: Error): void {
    this.#isOver = true;
    this.#begin(error);
    this.destroy(error);
  }

  override _destroy(error: Error | null, done: Done): void {
    if (!this.#isOver) this.#connection?.sendCopyFail('given up');
    done(error);
  }

  #begin(error?: Error): void {
    const ready = this.#ready;
    this.#ready = undefined;
    ready?.(error);
  }
}
