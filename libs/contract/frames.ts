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
