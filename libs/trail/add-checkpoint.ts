import { type Checkpoint, CheckpointRefused, parseCheckpoint } from './checkpoint.js';
import { base64, fromBase64 } from './octets.js';
import { NoteRefused } from './signed-note.js';
import { HASH_BYTES } from './tree-hash.js';

const MAX_HASHES = 63;
/** Media type of the size in a witness's 409. */
export const TLOG_SIZE_TYPE = 'text/x.tlog.size';

/** What is asked of a witness (C2SP tlog-witness, add-checkpoint). */
export interface AddCheckpoint {
  /** Of the checkpoint that the witness cosigned last; 0 for none. */
  readonly oldSize: number;
  /** From that size to the checkpoint's (RFC 9162). */
  readonly proof: readonly Uint8Array[];
  /** A signed note. */
  readonly checkpoint: string;
}

export class AddCheckpointRefused extends Error {
  constructor(detail: string, cause?: unknown) {
    super(`This is not an add-checkpoint request: ${detail}.`, { cause });
    this.name = 'AddCheckpointRefused';
  }
}

export const formatAddCheckpoint = ({ oldSize, proof, checkpoint }: AddCheckpoint): string =>
  [`old ${oldSize}`, ...proof.map(base64), '', checkpoint].join('\n');

/** By its exact grammar; verifies nothing. @throws AddCheckpointRefused */
export function parseAddCheckpoint(text: string): Omit<AddCheckpoint, 'checkpoint'> & { readonly checkpoint: Checkpoint } {
  const end = text.indexOf('\n\n');
  const [first = '', ...hashes] = text.slice(0, Math.max(0, end)).split('\n');
  const oldSize = /^old (0|[1-9][0-9]{0,14})$/.exec(first)?.[1];
  if (end < 0 || oldSize === undefined || hashes.length > MAX_HASHES)
    throw new AddCheckpointRefused('it is "old <size>", hashes, an empty line and a checkpoint');
  return { oldSize: Number(oldSize), proof: hashes.map(hashIn), checkpoint: checkpointIn(text.slice(end + 2)) };
}

function hashIn(line: string): Uint8Array {
  try {
    const hash = fromBase64(line);
    if (hash.length !== HASH_BYTES) throw new RangeError('not 32 bytes');
    return hash;
  } catch (cause) {
    throw new AddCheckpointRefused('one of its hashes is none', cause);
  }
}

function checkpointIn(text: string): Checkpoint {
  try {
    return parseCheckpoint(text);
  } catch (cause) {
    if (!(cause instanceof NoteRefused || cause instanceof CheckpointRefused)) throw cause;
    throw new AddCheckpointRefused('its checkpoint is none', cause);
  }
}
