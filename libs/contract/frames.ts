/** A body of `application/octet-stream` (docs/formats.md): u32 length ‖ JSON ‖ the bytes that must never be a string. */
export const FRAME_TYPE = 'application/octet-stream';
const LENGTH_BYTES = 4;

/** In a buffer of its own, which the caller may wipe. */
export function joinFrame(json: Uint8Array, bytes: Uint8Array): Buffer {
  const length = Buffer.alloc(LENGTH_BYTES);
  length.writeUInt32BE(json.length);
  return Buffer.concat([length, json, bytes]);
}

/** Views of the frame; undefined if it is none. */
export function splitFrame(frame: Buffer): { readonly json: Buffer; readonly bytes: Buffer } | undefined {
  if (frame.length < LENGTH_BYTES) return undefined;
  const end = LENGTH_BYTES + frame.readUInt32BE(0);
  return end > frame.length ? undefined : { json: frame.subarray(LENGTH_BYTES, end), bytes: frame.subarray(end) };
}

/** What a batch's frame has behind its JSON: the bytes of each item in order, each behind its u32 length. Joined by `joinFrame`. */
export function joinItems(items: readonly Uint8Array[]): Buffer {
  const joined = Buffer.alloc(items.reduce((sum, { length }) => sum + LENGTH_BYTES + length, 0));
  let at = 0;
  for (const item of items) {
    at = joined.writeUInt32BE(item.length, at);
    joined.set(item, at);
    at += item.length;
  }
  return joined;
}

/** Views of them; undefined where they are not so many, to the last byte. */
export function splitItems(joined: Buffer, count: number): Buffer[] | undefined {
  const items: Buffer[] = [];
  let at = 0;
  while (items.length < count && at + LENGTH_BYTES <= joined.length) {
    const start = at + LENGTH_BYTES;
    at = start + joined.readUInt32BE(at);
    if (at <= joined.length) items.push(joined.subarray(start, at));
  }
  return items.length === count && at === joined.length ? items : undefined;
}
