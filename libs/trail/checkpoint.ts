import { base64, fromBase64 } from './octets.js';
import { type Note, parseNote } from './signed-note.js';
import { HASH_BYTES } from './tree-hash.js';
import { KEY_NAME } from './verifier-key.js';

/** The head of a log: this many records have this root. */
export interface TreeHead {
  /** `<platform host>/audit/<log id>` */
  readonly origin: string;
  readonly size: bigint;
  /** RFC 6962, 32 bytes. */
  readonly root: Uint8Array;
}

export interface Checkpoint extends TreeHead {
  /** Not verified yet: see `verifyNote`. */
  readonly note: Note;
}

export class CheckpointRefused extends Error {
  readonly code = 'malformed-checkpoint';
  constructor(detail: string) {
    super(`This is not a checkpoint: ${detail}.`);
    this.name = 'CheckpointRefused';
  }
}

const ORIGIN = /^[A-Za-z0-9.:[\]-]{1,163}\/audit\/(log_[0-7][0-9a-hjkmnp-tv-z]{25})$/;
const SIZE = /^(0|[1-9][0-9]{0,18})$/;

/** The text that is signed (C2SP tlog-checkpoint): origin, decimal size, base64 root, each with a newline. @throws CheckpointRefused */
export function formatCheckpointBody({ origin, size, root }: TreeHead): string {
  if (!KEY_NAME.test(origin)) throw new CheckpointRefused('an origin has 1 to 200 characters without spaces and "+"');
  if (size < 0n || size >= 1n << 63n) throw new CheckpointRefused('a log has 0 to 2^63 - 1 records');
  if (root.length !== HASH_BYTES) throw new CheckpointRefused('a root has 32 bytes');
  return `${origin}\n${size}\n${base64(root)}\n`;
}

/**
 * Reads a checkpoint without verifying its signatures. Extension lines are refused: no verifier could audit them.
 * @throws NoteRefused, CheckpointRefused
 */
export function parseCheckpoint(text: string): Checkpoint {
  const note = parseNote(text);
  const [origin, size, encoded, rest, ...more] = note.body.split('\n');
  if (origin === undefined || size === undefined || encoded === undefined || rest !== '' || more.length > 0)
    throw new CheckpointRefused('it has other lines than origin, size and root');
  if (!SIZE.test(size)) throw new CheckpointRefused('its size is not a decimal number');
  const head = { origin, size: BigInt(size), root: rootFrom(encoded) };
  // One spelling only: what is compared is what was signed.
  if (formatCheckpointBody(head) !== note.body) throw new CheckpointRefused('it is not spelt as it should be');
  return { ...head, note };
}

/** The log id (`log_…`) at the end of a log's origin. @throws CheckpointRefused for another origin */
export function logIdOf(origin: string): string {
  const id = ORIGIN.exec(origin)?.[1];
  if (id === undefined) throw new CheckpointRefused('its origin is not <host>/audit/<log id>');
  return id;
}

function rootFrom(encoded: string): Uint8Array {
  try {
    return fromBase64(encoded);
  } catch (cause) {
    throw new CheckpointRefused(`its root is ${cause instanceof RangeError ? cause.message : 'unreadable'}`);
  }
}
