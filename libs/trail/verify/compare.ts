import type { Checkpoint } from '../checkpoint.js';
import { equalBytes } from '../octets.js';
import type { Recomputed } from './recompute-root.js';
import { type RecordFault, VerificationFailed } from './report.js';

/**
 * What was recomputed against what was signed. Attacker: whoever can write to the database, the stored hashes included.
 * Names a record only if the signed root vouches for the hash that it should have had, or if the record is wrong in itself.
 */
export function compare({ size, root }: Checkpoint, found: Recomputed): void {
  const { count, firstDifference, firstFault } = found;
  if (BigInt(count) !== size) throw wrongCount(size, found);
  if (!equalBytes(found.root, root)) throw wrongRoot(root, found);
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
}

function wrongCount(size: bigint, { count, firstFault }: Recomputed): VerificationFailed {
  const missing = BigInt(count) < size;
  const what = missing
    ? `${size - BigInt(count)} of ${size} records are missing`
    : `There are ${BigInt(count) - size} records more than the ${size} that were signed`;
  const place = firstFault ? placeOf(firstFault) : { index: missing ? count : Number(size) };
  return new VerificationFailed(missing ? 'missing-records' : 'extra-records', `${what}; the first wrong place is ${place.index}.`, place);
}

function wrongRoot(root: Uint8Array, { storedRoot, firstDifference, firstFault, count }: Recomputed): VerificationFailed {
  if (equalBytes(storedRoot, root) && firstDifference !== undefined)
    return new VerificationFailed('record-changed', `Record ${firstDifference} was changed: its bytes are not those that were signed.`, {
      index: firstDifference,
    });
  if (firstFault !== undefined)
    return new VerificationFailed(
      'root-mismatch',
      `The records are not those that were signed. ${firstFault.message}`,
      placeOf(firstFault),
    );
  return new VerificationFailed(
    'root-mismatch',
    `The records are not those that were signed. Their stored hashes were changed too, so the record cannot be named; the tampered part lies before size ${count}.`,
  );
}

const placeOf = ({ index, seq }: RecordFault) => ({ index, ...(seq !== undefined && { seq }) });
