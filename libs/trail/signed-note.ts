import { base64, concat, equalBytes, fromBase64, utf8 } from './octets.js';
import { isEcdsaSignature } from './ecdsa.js';
import { ECDSA, KEY_NAME, keyId, type VerifierKey } from './verifier-key.js';

export const MAX_SIGNATURES = 16;
const MAX_NOTE_CHARACTERS = 65_536;
const SIGNATURE_BYTES = 64;

export interface NoteSignature {
  readonly name: string;
  readonly keyId: Uint8Array;
  readonly signature: Uint8Array;
}

export interface Note {
  /** What is signed, with its last newline. */
  readonly body: string;
  readonly signatures: readonly NoteSignature[];
}

export type NoteProblem = 'malformed-note' | 'unknown-signer' | 'bad-signature';

export class NoteRefused extends Error {
  constructor(
    readonly code: NoteProblem,
    detail: string,
  ) {
    super(detail);
    this.name = 'NoteRefused';
  }
}

/** A signed note with one Ed25519 signature (64 bytes) by the key of this name (C2SP signed-note). `body` ends in a newline. */
export function composeNote(body: string, name: string, publicKey: Uint8Array, signature: Uint8Array): string {
  const text = formatNote({ body, signatures: [{ name, keyId: keyId(name, publicKey), signature }] });
  if (parseNote(text).body !== body)
    throw new NoteRefused('malformed-note', 'A body ends in a newline and holds no signatures of its own.');
  return text;
}

/** As it is written. */
export const formatNote = ({ body, signatures }: Note): string => `${body}\n${signatures.map(signatureLine).join('')}`;

/** With its newline. */
export const signatureLine = ({ name, keyId: id, signature }: NoteSignature): string => `— ${name} ${base64(concat(id, signature))}\n`;

/** Reads a note by the exact grammar of C2SP signed-note, 1 to 16 signatures; verifies nothing. @throws NoteRefused malformed-note */
export function parseNote(text: string): Note {
  if (text.length > MAX_NOTE_CHARACTERS || !text.isWellFormed()) throw malformed('it is too long or not Unicode');
  // \r too: a note with CRLF would be another text than the one that was signed.
  if (/[\0-\x09\x0b-\x1f]/.test(text)) throw malformed('it has control characters');
  const split = text.lastIndexOf('\n\n');
  if (split < 1 || !text.endsWith('\n')) throw malformed('body, empty line and signatures are not all there');
  const lines = text.slice(split + 2, -1).split('\n');
  if (lines.length > MAX_SIGNATURES) throw malformed(`it has more than ${MAX_SIGNATURES} signatures`);
  return { body: text.slice(0, split + 1), signatures: lines.map(parseSignature) };
}

/**
 * The known keys that signed the note. Signatures of unknown keys are ignored, one bad signature of a known key spoils the note
 * (C2SP signed-note). @throws NoteRefused unknown-signer when no known key signed; bad-signature
 */
export async function verifyNote(note: Note, known: readonly VerifierKey[]): Promise<readonly VerifierKey[]> {
  const body = utf8(note.body);
  const signers: VerifierKey[] = [];
  for (const { name, keyId: id, signature } of note.signatures) {
    const named = known.filter((key) => key.name === name && equalBytes(key.keyId, id));
    for (const key of named) {
      if (!(await isSignature(key, signature, body)))
        throw new NoteRefused('bad-signature', `The signature of ${name} does not fit the text.`);
      signers.push(key);
    }
  }
  if (signers.length === 0) throw new NoteRefused('unknown-signer', 'None of the known keys signed this.');
  return signers;
}

function parseSignature(line: string): NoteSignature {
  const [, name, encoded] = /^— (\S+) (\S+)$/u.exec(line) ?? [];
  if (name === undefined || encoded === undefined || !KEY_NAME.test(name)) throw malformed('a signature line is not "— name base64"');
  try {
    const bytes = fromBase64(encoded);
    if (bytes.length < 5) throw new RangeError('a signature is too short');
    return { name, keyId: bytes.slice(0, 4), signature: bytes.slice(4) };
  } catch (cause) {
    throw malformed(cause instanceof RangeError ? cause.message : 'a signature is unreadable');
  }
}

/** By the key's type: Ed25519 (RFC 8032), or ECDSA. */
export async function isSignature({ type, publicKey }: VerifierKey, signature: Uint8Array, body: Uint8Array): Promise<boolean> {
  if (type === ECDSA) return await isEcdsaSignature(publicKey, signature, body);
  if (signature.length !== SIGNATURE_BYTES) return false;
  const key = await crypto.subtle.importKey('raw', new Uint8Array(publicKey), 'Ed25519', false, ['verify']);
  return crypto.subtle.verify('Ed25519', key, new Uint8Array(signature), new Uint8Array(body));
}

const malformed = (detail: string) => new NoteRefused('malformed-note', `This is not a signed note: ${detail}.`);
