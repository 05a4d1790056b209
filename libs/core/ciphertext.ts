import { type KeyVersionId, versionIdBytes, versionIdOf } from '#contract';
import { DecryptFailed } from './errors.js';

/** Kinds are separate so that a data key's EDK is never mistaken for a direct ciphertext in a record. */
export const KIND = { direct: 1, dataKey: 2 } as const;
export type CiphertextKind = keyof typeof KIND;
const KIND_OF: ReadonlyMap<number | undefined, CiphertextKind> = new Map([
  [KIND.direct, 'direct'],
  [KIND.dataKey, 'dataKey'],
]);

const MAGIC = Buffer.from('KW');
const VERSION = 1;
const ALGORITHM = { AES_256: 1, AES_128: 2, SM4: 3 } as const;
const ALGORITHMS: ReadonlySet<number | undefined> = new Set(Object.values(ALGORITHM));
export type CipherSpec = keyof typeof ALGORITHM;
export const isCipherSpec = (spec: string): spec is CipherSpec => Object.hasOwn(ALGORITHM, spec);
/** 'KW' ‖ version ‖ kind ‖ algorithm ‖ key version id: authenticated as the first bytes of the AAD. */
export const HEADER_BYTES = 21;
const IV_BYTES = 12;
const TAG_BYTES = 16;

export interface Ciphertext {
  readonly kind: CiphertextKind;
  readonly versionId: KeyVersionId;
  readonly header: Uint8Array;
  readonly iv: Uint8Array;
  /** ciphertext ‖ tag */
  readonly sealed: Uint8Array;
}

/** The 21 bytes in front of every ciphertext v1 (DESIGN §7). */
export function ciphertextHeader(kind: CiphertextKind, versionId: KeyVersionId, spec: CipherSpec = 'AES_256'): Uint8Array {
  return Buffer.concat([MAGIC, Uint8Array.of(VERSION, KIND[kind], ALGORITHM[spec]), versionIdBytes(versionId)]);
}

/** header ‖ IV ‖ ciphertext ‖ tag */
export function frameCiphertext(header: Uint8Array, iv: Uint8Array, sealed: Uint8Array): Uint8Array {
  return Buffer.concat([header, iv, sealed]);
}

/**
 * Takes a ciphertext v1 apart; the parts are views of `bytes`.
 * @throws DecryptFailed for anything that this format cannot be; it says no more than a wrong tag does.
 */
export function parseCiphertext(bytes: Uint8Array): Ciphertext {
  const kind = KIND_OF.get(bytes[3]);
  const wellFormed =
    bytes.length > HEADER_BYTES + IV_BYTES + TAG_BYTES &&
    bytes[0] === MAGIC[0] &&
    bytes[1] === MAGIC[1] &&
    bytes[2] === VERSION &&
    ALGORITHMS.has(bytes[4]);
  if (!wellFormed || kind === undefined) throw new DecryptFailed('not-a-ciphertext');
  return {
    kind,
    versionId: versionIdOf(bytes.subarray(5, HEADER_BYTES)),
    header: bytes.subarray(0, HEADER_BYTES),
    iv: bytes.subarray(HEADER_BYTES, HEADER_BYTES + IV_BYTES),
    sealed: bytes.subarray(HEADER_BYTES + IV_BYTES),
  };
}
