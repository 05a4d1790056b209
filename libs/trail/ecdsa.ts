const SEQUENCE = 0x30;
const INTEGER = 0x02;
const HALF_BYTES = 32;

/** ECDSA on P-256 over SHA-256 (FIPS 186-5), by WebCrypto; `spki` and `signature` are DER. Anything that is none is false. */
export async function isEcdsaSignature(spki: Uint8Array, signature: Uint8Array, body: Uint8Array): Promise<boolean> {
  const raw = rawSignature(signature);
  if (raw === undefined) return false;
  const curve = { name: 'ECDSA', namedCurve: 'P-256' };
  const key = await crypto.subtle.importKey('spki', new Uint8Array(spki), curve, false, ['verify']);
  return crypto.subtle.verify({ name: 'ECDSA', hash: 'SHA-256' }, key, raw, new Uint8Array(body));
}

/** r ‖ s of a DER signature: SEQUENCE { r INTEGER, s INTEGER }, each in as few bytes as can be (X.690, 10). */
function rawSignature(der: Uint8Array): Uint8Array<ArrayBuffer> | undefined {
  if (der[0] !== SEQUENCE || der[1] !== der.length - 2) return undefined;
  const raw = new Uint8Array(2 * HALF_BYTES);
  const middle = putInteger(der, 2, raw, HALF_BYTES);
  return middle !== undefined && putInteger(der, middle, raw, 2 * HALF_BYTES) === der.length ? raw : undefined;
}

/** Writes the integer at `at` so that it ends before `end`; answers where the next begins. */
function putInteger(der: Uint8Array, at: number, into: Uint8Array, end: number): number | undefined {
  const length = der[at + 1] ?? 0;
  const digits = der.subarray(at + 2, at + 2 + length);
  const [first = 0x80, second = 0x80] = digits;
  const isMinimal = first < 0x80 && (first !== 0 || second >= 0x80);
  const value = first === 0 ? digits.subarray(1) : digits;
  if (der[at] !== INTEGER || length === 0 || digits.length !== length || !isMinimal || value.length > HALF_BYTES) return undefined;
  into.set(value, end - value.length);
  return at + 2 + length;
}
