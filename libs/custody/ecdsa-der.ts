const SEQUENCE = 0x30;
const INTEGER = 0x02;

/** r ‖ s as DER: SEQUENCE { r INTEGER, s INTEGER } (SEC 1, C.5). */
export function derOf(raw: Uint8Array): Buffer {
  const half = raw.length / 2;
  const body = Buffer.concat([integer(raw.subarray(0, half)), integer(raw.subarray(half))]);
  return Buffer.concat([Uint8Array.of(SEQUENCE, body.length), body]);
}

/** r ‖ s of exactly this DER, `bytes` each; undefined for any other form: one signature has one encoding. */
export function rawOf(der: Uint8Array, bytes: number): Buffer | undefined {
  const first = 4 + (der[3] ?? 0);
  const [r, s] = [padded(der.subarray(4, first), bytes), padded(der.subarray(first + 2), bytes)];
  if (r === undefined || s === undefined) return undefined;
  const raw = Buffer.concat([r, s]);
  return derOf(raw).equals(der) ? raw : undefined;
}

function integer(value: Uint8Array): Buffer {
  const start = value.findIndex((byte) => byte !== 0);
  const digits = start < 0 ? Uint8Array.of(0) : value.subarray(start);
  const sign = digits[0]! & 0x80 ? [0] : [];
  return Buffer.from([INTEGER, sign.length + digits.length, ...sign, ...digits]);
}

function padded(digits: Uint8Array, bytes: number): Buffer | undefined {
  const value = digits[0] === 0 ? digits.subarray(1) : digits;
  if (value.length > bytes) return undefined;
  return Buffer.concat([Buffer.alloc(bytes - value.length), value]);
}
