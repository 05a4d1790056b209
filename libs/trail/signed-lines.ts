import { parseNote, verifyNote } from './signed-note.js';
import type { VerifierKey } from './verifier-key.js';

/**
 * What the groups of `lines` hold in a note whose whole text is these lines, in this order: what is signed has one form only. The signature is
 * verified first. Undefined for any other signed text, a checkpoint for example.
 * @throws NoteRefused malformed-note, unknown-signer, bad-signature
 */
export async function signedFields(
  text: string,
  known: readonly VerifierKey[],
  lines: readonly string[],
): Promise<readonly (string | undefined)[] | undefined> {
  const note = parseNote(text);
  await verifyNote(note, known);
  return new RegExp(`^${lines.join('\\n')}\\n$`).exec(note.body)?.slice(1);
}
