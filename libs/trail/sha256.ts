/** SHA-256 (FIPS 180-4) of all bytes: 32 bytes. Synchronous, and done with the bytes when it answers. */
export type Sha256 = (bytes: Uint8Array) => Uint8Array;

/** What a platform does faster than this library's own code, which runs everywhere. Whoever gives it is believed. */
export interface PlatformSpeed {
  readonly sha256: Sha256;
  /** One character a byte (ISO 8859-1). */
  readonly latin1: (bytes: Uint8Array) => string;
}

/**
 * SHA-256 (FIPS 180-4) of the concatenation of `parts`; 32 bytes. Own code, because WebCrypto's is asynchronous (a thread hop
 * a leaf) and node:crypto does not exist in a browser. Nothing secret is hashed in this library.
 */
export function sha256(...parts: readonly Uint8Array[]): Uint8Array {
  const length = gather(parts);
  const end = pad(length);
  STATE.set(INITIAL);
  for (let at = 0; at < end; at += BLOCK) compress(at);
  return stateBytes();
}

const BLOCK = 64;
const fraction32 = (value: number) => ((value - Math.floor(value)) * 2 ** 32) | 0;
const PRIMES = Array.from({ length: 312 }, (_, n) => n).filter(
  (n) => n > 1 && !Array.from({ length: n }, (_, d) => d).some((d) => d > 1 && n % d === 0),
);
/** §4.2.2 and §5.3.3: fractions of the cube and square roots of the first primes. */
const K = Int32Array.from(PRIMES.slice(0, 64), (prime) => fraction32(Math.cbrt(prime)));
const INITIAL = Int32Array.from(PRIMES.slice(0, 8), (prime) => fraction32(Math.sqrt(prime)));

// One message at a time (this is synchronous), so these may be shared.
const STATE = new Int32Array(8);
const W = new Int32Array(64);
let message = new Uint8Array(16_384);
let view = new DataView(message.buffer);

/** Copies the parts into `message`, with room for the padding; answers their length. */
function gather(parts: readonly Uint8Array[]): number {
  let length = 0;
  for (const part of parts) length += part.length;
  if (length + 2 * BLOCK > message.length) {
    message = new Uint8Array(2 * (length + BLOCK));
    view = new DataView(message.buffer);
  }
  let at = 0;
  for (const part of parts) {
    message.set(part, at);
    at += part.length;
  }
  return length;
}

/** §5.1.1: a one bit, zeros, the length in bits as 64-bit big-endian. Answers the padded length. */
function pad(length: number): number {
  const end = Math.ceil((length + 9) / BLOCK) * BLOCK;
  message.fill(0, length, end);
  message[length] = 0x80;
  view.setUint32(end - 8, Math.floor(length / 2 ** 29));
  view.setUint32(end - 4, (length << 3) >>> 0);
  return end;
}

/** §6.2.2 */
function compress(at: number): void {
  for (let i = 0; i < 16; i++) W[i] = view.getInt32(at + 4 * i);
  for (let i = 16; i < 64; i++) {
    const x = W[i - 15]!;
    const y = W[i - 2]!;
    const sigma0 = ((x >>> 7) | (x << 25)) ^ ((x >>> 18) | (x << 14)) ^ (x >>> 3);
    const sigma1 = ((y >>> 17) | (y << 15)) ^ ((y >>> 19) | (y << 13)) ^ (y >>> 10);
    W[i] = (W[i - 16]! + sigma0 + W[i - 7]! + sigma1) | 0;
  }
  let a = STATE[0]!;
  let b = STATE[1]!;
  let c = STATE[2]!;
  let d = STATE[3]!;
  let e = STATE[4]!;
  let f = STATE[5]!;
  let g = STATE[6]!;
  let h = STATE[7]!;
  for (let i = 0; i < 64; i++) {
    const sum1 = ((e >>> 6) | (e << 26)) ^ ((e >>> 11) | (e << 21)) ^ ((e >>> 25) | (e << 7));
    const t1 = (h + sum1 + (g ^ (e & (f ^ g))) + K[i]! + W[i]!) | 0;
    const sum0 = ((a >>> 2) | (a << 30)) ^ ((a >>> 13) | (a << 19)) ^ ((a >>> 22) | (a << 10));
    const t2 = (sum0 + ((a & b) | (c & (a | b)))) | 0;
    h = g;
    g = f;
    f = e;
    e = (d + t1) | 0;
    d = c;
    c = b;
    b = a;
    a = (t1 + t2) | 0;
  }
  STATE[0] = STATE[0]! + a;
  STATE[1] = STATE[1]! + b;
  STATE[2] = STATE[2]! + c;
  STATE[3] = STATE[3]! + d;
  STATE[4] = STATE[4]! + e;
  STATE[5] = STATE[5]! + f;
  STATE[6] = STATE[6]! + g;
  STATE[7] = STATE[7]! + h;
}

function stateBytes(): Uint8Array {
  const bytes = new Uint8Array(32);
  const words = new DataView(bytes.buffer);
  for (let i = 0; i < 8; i++) words.setInt32(4 * i, STATE[i]!);
  return bytes;
}
