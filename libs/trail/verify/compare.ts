import type { Checkpoint } from '../checkpoint.js';
import type { VerifierKey } from '../verifier-key.js';
import { verifyNote } from '../signed-note.js';
import type { SignedHead } from './check-signature.js';
import { equalBytes } from '../octets.js';
import type { Recomputed } from './recompute-root.js';
import { type Between, type RecordFault, VerificationFailed } from './report.js';

/**
 * What was recomputed against what was signed. Attacker: whoever can write to the database, the stored hashes included.
 * Names a record only if the signed root vouches for the hash that it should have had, or if the record is wrong in itself.
 */
export async function compare(
  { checkpoint, earlier, known }: Pick<SignedHead, 'checkpoint' | 'earlier' | 'known'>,
  found: Recomputed,
): Promise<void> {
  const { size, root } = checkpoint;
  const { count, firstDifference, firstFault, disclosureFault } = found;
  if (BigInt(count) !== size) throw wrongCount(size, found);
  const missing = found.unseen.find(({ to }) => to > found.mayPrune);
  if (missing !== undefined)
    throw new VerificationFailed(
      'missing-records',
      `Of records ${missing.from} to ${missing.to - 1} only the hashes are there, and the log says of those below ${found.mayPrune} that they were pruned.`,
      { index: Math.max(missing.from, found.mayPrune) },
    );
  const isSigned = equalBytes(found.root, root);
  // Whose checkpoints the earlier ones are does not matter to a record that can be named.
  if (!isSigned && equalBytes(found.storedRoot, root)) throw changedRecord(found);
  const between = await firstMisfit([...earlier, checkpoint], [...found.fits, isSigned], known);
  if (!isSigned) throw wrongRoot(found, between);
  if (between !== undefined)
    throw new VerificationFailed(
      'inconsistent-checkpoint',
      `The log was signed twice: the checkpoint of size ${between.to} is of other records than the newest.`,
      { between },
    );
  if (firstFault !== undefined)
    throw new VerificationFailed(firstFault.code, `${firstFault.message} The log was signed like this.`, placeOf(firstFault));
  if (firstDifference !== undefined)
    throw new VerificationFailed(
      'stored-hash-changed',
      `Record ${firstDifference} is as it was signed, but its stored leaf hash was changed.`,
      {
        index: firstDifference,
      },
    );
  if (disclosureFault !== undefined)
    throw new VerificationFailed(disclosureFault.code, disclosureFault.message, { index: disclosureFault.index });
}

function wrongCount(size: bigint, { count, firstFault }: Recomputed): VerificationFailed {
  const missing = BigInt(count) < size;
  const what = missing
    ? `${size - BigInt(count)} of ${size} records are missing`
    : `There are ${BigInt(count) - size} records more than the ${size} that were signed`;
  const place = firstFault ? placeOf(firstFault) : { index: missing ? count : Number(size) };
  return new VerificationFailed(missing ? 'missing-records' : 'extra-records', `${what}; the first wrong place is ${place.index}.`, place);
}

/** The first signed checkpoint that the records do not fit, and the last before it that they do. @throws NoteRefused when it is not signed */
async function firstMisfit(
  heads: readonly Checkpoint[],
  fits: readonly boolean[],
  known: readonly VerifierKey[],
): Promise<Between | undefined> {
  const at = fits.indexOf(false);
  const [misfit, fitting] = [heads[at], heads[at - 1]];
  if (misfit === undefined) return undefined;
  for (const head of [misfit, fitting]) if (head !== undefined) await verifyNote(head.note, known);
  return { from: Number(fitting?.size ?? 0), to: Number(misfit.size) };
}

const changedRecord = ({ firstDifference }: Recomputed) =>
  new VerificationFailed('record-changed', `Record ${firstDifference} was changed: its bytes are not those that were signed.`, {
    ...(firstDifference !== undefined && { index: firstDifference }),
  });

function wrongRoot({ firstFault }: Recomputed, between: Between | undefined): VerificationFailed {
  if (firstFault !== undefined)
    return new VerificationFailed(
      'root-mismatch',
      `The records are not those that were signed. ${firstFault.message}`,
      placeOf(firstFault),
    );
  return new VerificationFailed(
    'root-mismatch',
    `The records are not those that were signed. Their stored hashes were changed too, so the record cannot be named; the tampered part lies between the signed checkpoints of size ${between?.from} and ${between?.to}.`,
    { ...(between && { between }) },
  );
}

const placeOf = ({ index, seq }: RecordFault) => ({ index, ...(seq !== undefined && { seq }) });
