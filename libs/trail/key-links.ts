import { keyLink, type KeyLink } from '#contract';
import type { Checkpoint } from './checkpoint.js';
import { utf8 } from './octets.js';
import { parseRecord, RecordRefused } from './parse-record.js';
import { NoteRefused } from './signed-note.js';
import { RecordProofRefused, verifyProofBy } from './tlog-proof.js';
import { parseVkey, type VerifierKey, VerifierKeyRefused } from './verifier-key.js';

/** Keys of a log that follow from one that is known, and what vouches for them. */
export interface FollowedKeys {
  readonly keys: readonly VerifierKey[];
  /** Keys that these replaced, as the records say that name the next ones: what is older is signed by them, and nothing that is newest. */
  readonly former: readonly VerifierKey[];
  /** Over the records that name them: the log must be a continuation of each. */
  readonly checkpoints: readonly Checkpoint[];
}

export class KeyLinkRefused extends Error {
  readonly code = 'bad-key-link';
  constructor(detail: string, cause?: unknown) {
    super(`A new key of the log is not vouched for: ${detail}`, { cause });
    this.name = 'KeyLinkRefused';
  }
}

/**
 * From the pinned keys to the log's newest: each next one is named by a record of the log that lies under a checkpoint signed by one that is
 * known by then. Attacker: an ISV that signs with a key of its choice, and offers any link for it. Links from keys that are not known are
 * passed over: they are older than the pinned one. @throws KeyLinkRefused, NoteRefused for a bad signature of a known key
 */
export async function followKeys(known: readonly VerifierKey[], links: readonly KeyLink[]): Promise<FollowedKeys> {
  const keys = [...known];
  const checkpoints: Checkpoint[] = [];
  for (const link of links) {
    const next = await followed(keys, link);
    if (next === undefined) continue;
    if (!keys.some(({ text }) => text === next.key.text)) keys.push(next.key);
    checkpoints.push(next.checkpoint);
  }
  return { keys, former: await formerKeys(keys, links), checkpoints };
}

/** From whoever pinned a later key back to the first. */
async function formerKeys(keys: readonly VerifierKey[], links: readonly KeyLink[]): Promise<VerifierKey[]> {
  const former: VerifierKey[] = [];
  for (const link of links.toReversed()) {
    const replaced = (await followed([...keys, ...former], link))?.replaces;
    if (replaced !== undefined && [...keys, ...former].every(({ text }) => text !== replaced.text)) former.push(replaced);
  }
  return former;
}

/** One link a line, as JSON. @throws KeyLinkRefused */
export function parseKeyLinks(text: string): KeyLink[] {
  try {
    return text
      .trimEnd()
      .split('\n')
      .map((line) => keyLink.parse(JSON.parse(line)));
  } catch (cause) {
    throw new KeyLinkRefused('it is no link at all.', cause);
  }
}

async function followed(keys: readonly VerifierKey[], { vkey, record, proof }: KeyLink) {
  try {
    const key = parseVkey(vkey);
    const bytes = utf8(record);
    const { index, checkpoint } = await verifyProofBy(keys, proof, bytes);
    const { op, outcome, change, seq } = parseRecord(bytes);
    const named = op === 'RotateLogKey' && outcome === 'succeeded' && change?.['vkey'] === vkey;
    if (!named || seq !== index) throw new KeyLinkRefused('the record does not name it.');
    const replaces = typeof change['replaces'] === 'string' ? parseVkey(change['replaces']) : undefined;
    if ([key, replaces ?? key].some((one) => keys.every(({ name }) => name !== one.name)))
      throw new KeyLinkRefused('it is of another log.');
    return { key, replaces, checkpoint };
  } catch (error) {
    if (error instanceof NoteRefused && error.code === 'unknown-signer') return undefined;
    if ([RecordRefused, RecordProofRefused, VerifierKeyRefused].some((kind) => error instanceof kind))
      throw new KeyLinkRefused(error instanceof Error ? error.message : '', error);
    throw error;
  }
}
