import { concat, utf8 } from './octets.js';

export interface RecordPosition {
  readonly seq: bigint | number;
  /** RFC 3339 with six decimals and Z. */
  readonly recordedAt: string;
  readonly writer: string;
}

/**
 * The bytes that the database stores for a body: the same splice as its append function makes, for tests and for those who
 * check that function.
 */
export function spliceRecord(body: Uint8Array, { seq, recordedAt, writer }: RecordPosition): Uint8Array {
  return concat(utf8(`{"seq":${seq},"recordedAt":"${recordedAt}","writer":"${writer}",`), body.subarray(1));
}
