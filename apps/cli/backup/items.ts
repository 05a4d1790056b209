import { ByteReader } from '#trail';
import { UsageError } from '../exit-codes.js';

/** A part of an archive: what it is, and its bytes. */
export interface Item {
  readonly head: object;
  readonly body: AsyncIterable<Uint8Array> | Iterable<Uint8Array>;
}
/** As it is read: nobody has looked at its head yet, and its body is read before the next one, or not at all. */
export interface ReadItem {
  readonly head: unknown;
  readonly body: AsyncIterable<Uint8Array>;
}

const LENGTH_BYTES = 4;
const MAX_PIECE_BYTES = 64 * 1024 * 1024;

/** `u32 length ‖ head as JSON`, then the body in pieces of `u32 length ‖ bytes`, then a piece of none. Integers are big-endian. */
export async function* writtenItems(items: AsyncIterable<Item>): AsyncGenerator<Uint8Array> {
  for await (const { head, body } of items) {
    const text = Buffer.from(JSON.stringify(head));
    yield lengthOf(text);
    yield text;
    for await (const piece of body) {
      if (piece.length === 0) continue;
      yield lengthOf(piece);
      yield piece;
    }
    yield lengthOf(Buffer.alloc(0));
  }
}

/** @throws UsageError for what `writtenItems` has not written */
export async function* readItems(source: AsyncIterable<Uint8Array>): AsyncGenerator<ReadItem> {
  const reader = new ByteReader(source);
  for (let head: Uint8Array | undefined; (head = await pieceOf(reader)) !== undefined; ) {
    const body = bodyOf(reader);
    yield { head: JSON.parse(Buffer.from(head).toString('utf8')) as unknown, body };
    for await (const skipped of body) void skipped;
  }
}

async function* bodyOf(reader: ByteReader): AsyncGenerator<Uint8Array> {
  for (;;) {
    const piece = await pieceOf(reader);
    if (piece === undefined) throw new UsageError('The archive ends too early.');
    if (piece.length === 0) return;
    yield piece;
  }
}

/** Undefined at the end. */
async function pieceOf(reader: ByteReader): Promise<Uint8Array | undefined> {
  const length = await reader.take(LENGTH_BYTES);
  if (length === undefined) return undefined;
  const bytes = Buffer.from(length).readUInt32BE();
  const piece = bytes > MAX_PIECE_BYTES ? undefined : await reader.take(bytes);
  if (piece === undefined) throw new UsageError('The archive is not one of Keyward.');
  return piece;
}

function lengthOf(piece: Uint8Array): Buffer {
  const length = Buffer.alloc(LENGTH_BYTES);
  length.writeUInt32BE(piece.length);
  return length;
}
