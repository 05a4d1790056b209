import { randomBytes } from 'node:crypto';
import type { webcrypto } from 'node:crypto';

/** ECDSA (SEC 1, 4.1) and SM2 (GB/T 32918.2) over digests, which node:crypto does not offer: for the fake custody. Slow, and not constant in time. */
interface Curve {
  readonly p: bigint;
  readonly a: bigint;
  readonly n: bigint;
  readonly g: Point;
  readonly bytes: number;
}
type Point = readonly [bigint, bigint] | undefined;

const hex = (text: string) => BigInt(`0x${text}`);
const P256 = hex('ffffffff00000001000000000000000000000000ffffffffffffffffffffffff');
const P384 = hex('fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffeffffffff0000000000000000ffffffff');
const SM2 = hex('fffffffeffffffffffffffffffffffffffffffff00000000ffffffffffffffff');
export const FAKE_CURVES = {
  EC_P256: {
    ...{ p: P256, a: P256 - 3n, n: hex('ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551'), bytes: 32 },
    g: [
      hex('6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296'),
      hex('4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5'),
    ],
  },
  EC_P384: {
    ...{ p: P384, a: P384 - 3n, bytes: 48 },
    n: hex('ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973'),
    g: [
      hex('aa87ca22be8b05378eb1c71ef320ad746e1d3b628ba79b9859f741e082542a385502f25dbf55296c3a545e3872760ab7'),
      hex('3617de4a96262c6f5d9e98bf9292dc29f8f41dbd289a147ce9da3113b5f0b8c00a60b1ce1d7e819d7a431d7c90ea0e5f'),
    ],
  },
  EC_P256K: {
    ...{ p: hex('fffffffffffffffffffffffffffffffffffffffffffffffffffffffefffffc2f'), a: 0n, bytes: 32 },
    n: hex('fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141'),
    g: [
      hex('79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798'),
      hex('483ada7726a3c4655da4fbfc0e1108a8fd17b448a68554199c47d08ffb10d4b8'),
    ],
  },
  EC_SM2: {
    ...{ p: SM2, a: SM2 - 3n, n: hex('fffffffeffffffffffffffffffffffff7203df6b21c6052b53bbf40939d54123'), bytes: 32 },
    g: [
      hex('32c4ae2c1f1981195f9904466a39c9948fe30bbff2660be1715a4589334c74c7'),
      hex('bc3736a2f4f6779c59bdcee36b692153d0a9877cc62a474002df32e52139f0a0'),
    ],
  },
} as const satisfies Record<string, Curve>;
export type FakeCurve = keyof typeof FAKE_CURVES;

/** r ‖ s. */
export function signDigest(spec: FakeCurve, { d }: webcrypto.JsonWebKey, digest: Uint8Array): Buffer {
  const curve: Curve = FAKE_CURVES[spec];
  const { n, g, bytes } = curve;
  const k = 1n + (hex(randomBytes(bytes).toString('hex')) % (n - 1n));
  const [x, secret, e] = [times(curve, k, g)![0], numberOf(Buffer.from(d ?? '', 'base64url')), numberOf(digest)];
  const r = mod(spec === 'EC_SM2' ? e + x : x, n);
  const s = spec === 'EC_SM2' ? mod(inverse(1n + secret, n) * (k - r * secret), n) : mod(inverse(k, n) * (e + r * secret), n);
  return Buffer.from([r, s].map((value) => value.toString(16).padStart(2 * bytes, '0')).join(''), 'hex');
}

export function verifyDigest(spec: FakeCurve, { x, y }: webcrypto.JsonWebKey, digest: Uint8Array, raw: Uint8Array): boolean {
  const curve: Curve = FAKE_CURVES[spec];
  const { n, g, bytes } = curve;
  const [r, s] = [numberOf(raw.subarray(0, bytes)), numberOf(raw.subarray(bytes))];
  if (r === 0n || s === 0n || r >= n || s >= n) return false;
  const key: Point = [numberOf(Buffer.from(x ?? '', 'base64url')), numberOf(Buffer.from(y ?? '', 'base64url'))];
  if (spec === 'EC_SM2') {
    const sum = plus(curve, times(curve, s, g), times(curve, mod(r + s, n), key));
    return sum !== undefined && mod(numberOf(digest) + sum[0], n) === r;
  }
  const w = inverse(s, n);
  const point = plus(curve, times(curve, mod(numberOf(digest) * w, n), g), times(curve, mod(r * w, n), key));
  return point !== undefined && mod(point[0], n) === r;
}

const numberOf = (bytes: Uint8Array) => hex(Buffer.from(bytes).toString('hex') || '0');
const mod = (value: bigint, by: bigint) => ((value % by) + by) % by;

function inverse(value: bigint, by: bigint): bigint {
  let [low, high, a, b] = [mod(value, by), by, 1n, 0n];
  while (low > 1n) [low, high, a, b] = [high % low, low, b - (high / low) * a, a];
  return mod(a, by);
}

function plus({ p, a }: Curve, one: Point, other: Point): Point {
  if (one === undefined) return other;
  if (other === undefined) return one;
  const [[x1, y1], [x2, y2]] = [one, other];
  if (x1 === x2 && mod(y1 + y2, p) === 0n) return undefined;
  const slope = x1 === x2 ? (3n * x1 * x1 + a) * inverse(2n * y1, p) : (y2 - y1) * inverse(x2 - x1, p);
  const x = mod(slope * slope - x1 - x2, p);
  return [x, mod(slope * (x1 - x) - y1, p)];
}

function times(curve: Curve, factor: bigint, point: Point): Point {
  let [sum, doubled]: [Point, Point] = [undefined, point];
  for (let left = factor; left > 0n; left >>= 1n) {
    if (left & 1n) sum = plus(curve, sum, doubled);
    doubled = plus(curve, doubled, doubled);
  }
  return sum;
}
