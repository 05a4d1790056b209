import { type Checkpoint, parseCheckpoint } from './checkpoint.js';
import { base64, fromBase64 } from './octets.js';
import { verifyNote } from './signed-note.js';
import { type ReadHashTile, TileProofs } from './tile-proofs.js';
import { HASH_BYTES, leafHash } from './tree-hash.js';
import { parseVkey, type VerifierKey } from './verifier-key.js';
import { verifyInclusion } from './verify-proofs.js';

/** C2SP tlog-proof: everything that shows that a record stands in a log, but the record itself and the key. */
export interface RecordProof {
  readonly index: number;
  /** Audit path, lowest hash first. */
  readonly hashes: readonly Uint8Array[];
  /** A signed note. */
  readonly checkpoint: string;
}

export class RecordProofRefused extends Error {
  readonly code = 'malformed-proof';
  constructor(detail: string, cause?: unknown) {
    super(`This is not a proof: ${detail}.`, { cause });
    this.name = 'RecordProofRefused';
  }
}

const HEADER = 'c2sp.org/tlog-proof@v1';

export const formatRecordProof = ({ index, hashes, checkpoint }: RecordProof): string =>
  [HEADER, `index ${index}`, ...hashes.map(base64), '', checkpoint].join('\n');

/** By the exact grammar of C2SP tlog-proof, without extra data. Verifies nothing. @throws RecordProofRefused */
export function parseRecordProof(text: string): RecordProof {
  const end = text.indexOf('\n\n');
  const [header, place, ...hashes] = text.slice(0, Math.max(0, end)).split('\n');
  const index = /^index (0|[1-9][0-9]{0,15})$/.exec(place ?? '')?.[1];
  if (end < 0 || header !== HEADER || index === undefined || hashes.length > 63)
    throw new RecordProofRefused(`it is ${HEADER}, an index, hashes, an empty line and a checkpoint`);
  return { index: Number(index), hashes: hashes.map(hashIn), checkpoint: text.slice(end + 2) };
}

/**
 * Whether one of these verifier keys signed a log in which these bytes are the record at the proof's place; answers that place and the
 * log's size.
 * @throws RecordProofRefused, NoteRefused, CheckpointRefused, VerifierKeyRefused
 */
export async function verifyRecordProof(
  text: string,
  record: Uint8Array,
  vkeys: readonly string[],
): Promise<{ readonly index: number; readonly size: number }> {
  const { index, checkpoint } = await verifyProofBy(vkeys.map(parseVkey), text, record);
  return { index, size: Number(checkpoint.size) };
}

/** The same for a log whose keys these are; answers what the proof holds. */
export async function verifyProofBy(
  keys: readonly VerifierKey[],
  text: string,
  record: Uint8Array,
): Promise<{ readonly index: number; readonly checkpoint: Checkpoint }> {
  const { index, hashes, checkpoint: signed } = parseRecordProof(text);
  const checkpoint = parseCheckpoint(signed);
  const { origin, size, root, note } = checkpoint;
  if (keys.every(({ name }) => name !== origin)) throw new RecordProofRefused('its checkpoint is of another log');
  await verifyNote(note, keys);
  if (!verifyInclusion({ index, size: Number(size), leafHash: leafHash(record), root, proof: hashes }))
    throw new RecordProofRefused('the record is not the one at its place');
  return { index, checkpoint };
}

/** The proof of one record, from the tiles of its log. */
export async function recordProofOf(of: {
  readonly index: number;
  readonly size: number;
  readonly checkpoint: string;
  readonly readTile: ReadHashTile;
}): Promise<string> {
  const hashes = await new TileProofs(of.size, of.readTile).inclusion(of.index);
  return formatRecordProof({ index: of.index, hashes, checkpoint: of.checkpoint });
}

/** The proof that a log of `to` records began as one of `from`, from its tiles. */
export function consistencyProofOf(between: {
  readonly from: number;
  readonly to: number;
  readonly readTile: ReadHashTile;
}): Promise<Uint8Array[]> {
  return new TileProofs(between.to, between.readTile).consistency(between.from);
}

function hashIn(line: string): Uint8Array {
  try {
    const hash = fromBase64(line);
    if (hash.length !== HASH_BYTES) throw new RangeError('not 32 bytes');
    return hash;
  } catch (cause) {
    throw new RecordProofRefused('one of its hashes is none', cause);
  }
}
