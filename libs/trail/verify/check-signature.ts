import { type Checkpoint, logIdOf, parseCheckpoint } from '../checkpoint.js';
import type { Bundle } from '../read-bundle.js';
import { cosignaturesOf, parseWitnessKey, type Quorum } from '../cosignature.js';
import { followKeys } from '../key-links.js';
import { verifyNote } from '../signed-note.js';
import { parseVkey, type VerifierKey } from '../verifier-key.js';
import { VerificationFailed, type Witnessed } from './report.js';

export interface SignedHead {
  readonly checkpoint: Checkpoint;
  readonly logId: string;
  readonly pinned: boolean;
  /** The key that signed it, where the trusted one no longer does: its successor. */
  readonly followed: string | undefined;
  /** Those that may have signed this log, today or before. */
  readonly known: readonly VerifierKey[];
  /** Smaller ones, in their order. Their signatures are looked at when one of them does not fit. */
  readonly earlier: readonly Checkpoint[];
  /** The largest of the newest and the kept checkpoint that enough witnesses cosigned. */
  readonly witnessed: Witnessed | undefined;
}

export interface Trusted {
  readonly pinned: VerifierKey | undefined;
  readonly since: string | undefined;
  readonly witnesses: Quorum | undefined;
}

/**
 * The log's own key must have signed the checkpoint. Attacker: the ISV, who can put any key and any signature into a bundle;
 * only a key that the auditor pinned earlier stops that.
 */
export async function checkSignature(bundle: Bundle, { pinned, since, witnesses }: Trusted): Promise<SignedHead> {
  const checkpoint = parseCheckpoint(bundle.checkpoint);
  const logId = logIdOf(checkpoint.origin);
  // The bundle's own keys must be readable even when they are not needed.
  const offered = bundle.vkeys.map(parseVkey);
  // A key of another name signs another log, however genuine it is.
  const trusted = (pinned ? [pinned] : offered).filter((key) => key.name === checkpoint.origin);
  if (trusted.length === 0)
    throw new VerificationFailed('foreign-origin', `The checkpoint is of ${checkpoint.origin}, the key is of another log.`);
  const { keys, former, checkpoints: overlaps } = await followKeys(trusted, bundle.rotations ?? []);
  const signers = await verifyNote(checkpoint.note, keys);
  const known = [...keys, ...former];
  const kept = since === undefined ? undefined : parseCheckpoint(since);
  if (kept !== undefined) await verifyNote(kept.note, known);
  const witnessed = witnesses && (await witnessedBy(witnesses, kept === undefined ? [checkpoint] : [checkpoint, kept]));
  const earlier = earlierOf(bundle.checkpoints, checkpoint, [...overlaps, ...(kept ? [kept] : [])]);
  const followed = trusted.some(({ text }) => signers.some((key) => key.text === text)) ? undefined : signers[0]?.text;
  return { checkpoint, logId, witnessed, pinned: pinned !== undefined, followed, known, earlier };
}

/** The log's own, which may be left out; and those that may not: the auditor's, and those that vouch for keys. */
function earlierOf(notes: readonly string[], newest: Checkpoint, needed: readonly Checkpoint[]): Checkpoint[] {
  const offered = notes.map(parseCheckpoint);
  const sizes = [...offered, newest].map(({ size }) => size);
  if (sizes.some((size, at) => at > 0 && size <= sizes[at - 1]!))
    throw new VerificationFailed('malformed-bundle', 'Its checkpoints do not grow.');
  const larger = needed.find(({ size }) => size > newest.size);
  if (larger !== undefined)
    throw new VerificationFailed(
      'older-checkpoint',
      `The log ends at ${newest.size} records; a checkpoint that you kept, or that vouches for its key, is of ${larger.size}.`,
    );
  const earlier = [...offered.filter(({ size }) => needed.every((one) => one.size !== size)), ...needed];
  if (earlier.some(({ origin }) => origin !== newest.origin))
    throw new VerificationFailed('foreign-origin', 'One of its checkpoints is of another log.');
  return earlier.sort((a, b) => Number(a.size - b.size));
}

/** Attacker: an ISV that shows each auditor a log of its own, consistently. Its witnesses saw only one. */
async function witnessedBy({ keys, quorum }: Quorum, checkpoints: readonly Checkpoint[]): Promise<Witnessed> {
  const witnesses = keys.map(parseWitnessKey);
  const counts: number[] = [];
  for (const { size, note } of checkpoints) {
    const by = await cosignaturesOf(note, witnesses);
    if (by.length >= quorum) return { size: Number(size), by };
    counts.push(by.length);
  }
  const most = Math.max(...counts);
  throw new VerificationFailed('too-few-witnesses', `${most} of your witnesses cosigned the checkpoint; ${quorum} are needed.`);
}
