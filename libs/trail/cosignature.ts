import { concat, equalBytes, utf8 } from './octets.js';
import { isSignature, type Note, NoteRefused, type NoteSignature } from './signed-note.js';
import { COSIGNATURE, keyId, parseVkeyOf, type VerifierKey, vkey } from './verifier-key.js';

const TIME_BYTES = 8;

/** That a witness saw a checkpoint, and no other of its log that does not continue it. */
export interface Cosignature {
  readonly witness: string;
  /** POSIX seconds, by the witness's clock. */
  readonly time: number;
}

export interface Quorum {
  /** Verifier keys of witnesses, as their owners gave them. */
  readonly keys: readonly string[];
  /** How many of them are enough. */
  readonly quorum: number;
}

/** @throws VerifierKeyRefused */
export const parseWitnessKey = (text: string): VerifierKey => parseVkeyOf([COSIGNATURE], text);
export const witnessKey = (name: string, publicKey: Uint8Array): string => vkey(name, publicKey, COSIGNATURE);

/** What a witness signs (C2SP tlog-cosignature, cosignature/v1): the time and the note's body. */
export const cosignedBytes = (body: string, time: number): Uint8Array => utf8(`cosignature/v1\ntime ${time}\n${body}`);

/** A witness's signature (64 bytes) over `cosignedBytes` as a note carries it: u64 time ‖ signature. */
export function cosignature(name: string, publicKey: Uint8Array, time: number, signature: Uint8Array): NoteSignature {
  const timed = new Uint8Array(TIME_BYTES);
  new DataView(timed.buffer).setBigUint64(0, BigInt(time));
  return { name, keyId: keyId(name, publicKey, COSIGNATURE), signature: concat(timed, signature) };
}

/**
 * Which of these witnesses cosigned the note, each once, with its latest time. Others are ignored; a bad signature of a known one spoils
 * the note. @throws NoteRefused bad-signature
 */
export async function cosignaturesOf(note: Note, witnesses: readonly VerifierKey[]): Promise<readonly Cosignature[]> {
  const times = new Map<string, number>();
  for (const { name, keyId: id, signature } of note.signatures) {
    for (const key of witnesses.filter((known) => known.name === name && equalBytes(known.keyId, id))) {
      const time = await timeOf(key, signature, note.body);
      times.set(name, Math.max(time, times.get(name) ?? 0));
    }
  }
  return Array.from(times, ([witness, time]) => ({ witness, time }));
}

async function timeOf(key: VerifierKey, signature: Uint8Array, body: string): Promise<number> {
  const bad = new NoteRefused('bad-signature', `The cosignature of ${key.name} does not fit the text.`);
  if (signature.length <= TIME_BYTES) throw bad;
  const time = Number(new DataView(signature.buffer, signature.byteOffset).getBigUint64(0));
  if (!Number.isSafeInteger(time) || !(await isSignature(key, signature.subarray(TIME_BYTES), cosignedBytes(body, time)))) throw bad;
  return time;
}
