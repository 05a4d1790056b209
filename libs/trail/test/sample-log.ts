import { createPrivateKey, createPublicKey, type KeyObject, sign } from 'node:crypto';
import { z } from 'zod';
import type { KeyLink, RecordBody } from '#contract';
import {
  appendLeaf,
  type BundleEntry,
  composeNote,
  emptyTree,
  encodeRecord,
  formatCheckpointBody,
  leafHash,
  rootOf,
  spliceRecord,
  vkey,
  writeBundle,
} from '../index.js';
import { concat } from '../octets.js';
import { vectors } from './vectors.js';

export const LOG_ID = 'log_01890a5d1xv2e4k7m3q8s0t9wa';
export const ORIGIN = `keys.example.com/audit/${LOG_ID}`;

const BODY = vectors('record-body.json', z.custom<RecordBody>());

/** An Ed25519 key from 32 bytes that the test chooses (PKCS#8 around a seed, RFC 8410). */
export function keyFrom(seed: number): { readonly privateKey: KeyObject; readonly publicKey: Uint8Array } {
  const pkcs8 = Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), Buffer.alloc(32, seed)]);
  const privateKey = createPrivateKey({ key: pkcs8, format: 'der', type: 'pkcs8' });
  return { privateKey, publicKey: createPublicKey(privateKey).export({ format: 'der', type: 'spki' }).subarray(-32) };
}

export const LOG_KEY = keyFrom(1);
export const LOG_VKEY = vkey(ORIGIN, LOG_KEY.publicKey);

/** A record as the database would hold it; `change` alters the position or the body. */
export function entryAt(seq: number, change: { seq?: number; recordedAt?: string; body?: Partial<RecordBody> } = {}): BundleEntry {
  const recordedAt = change.recordedAt ?? `2026-03-01T12:00:00.${String(seq).padStart(6, '0')}Z`;
  const bytes = spliceRecord(encodeRecord({ ...BODY, ...change.body }), {
    seq: change.seq ?? seq,
    recordedAt,
    writer: 'keyward_data_plane',
  });
  return { bytes, leafHash: leafHash(bytes) };
}

export const entries = (count: number): BundleEntry[] => Array.from({ length: count }, (_, seq) => entryAt(seq));

export const rootOver = (log: readonly BundleEntry[]): Uint8Array =>
  rootOf(log.reduce((tree, entry) => appendLeaf(tree, entry.leafHash), emptyTree()));

/** A checkpoint over these records, signed by `key` in the name of `origin`. */
export function checkpointOver(log: readonly BundleEntry[], { origin = ORIGIN, key = LOG_KEY, size = BigInt(log.length) } = {}): string {
  const body = formatCheckpointBody({ origin, size, root: rootOver(log) });
  return composeNote(body, origin, key.publicKey, sign(null, Buffer.from(body), key.privateKey));
}

export interface SampleLog {
  checkpoint: string;
  checkpoints?: string[];
  vkeys: string[];
  rotations?: KeyLink[];
  pruned?: Uint8Array[];
  entries: BundleEntry[];
}

export function sampleLog(count: number): SampleLog {
  const log = entries(count);
  return { checkpoint: checkpointOver(log), vkeys: [LOG_VKEY], entries: log };
}

/** The whole bundle in one piece. */
export async function bundleOf({ entries: log, pruned = [], ...rest }: SampleLog): Promise<Uint8Array> {
  async function* tiles() {
    yield* pruned;
  }
  async function* stored() {
    yield* log;
  }
  const pieces: Uint8Array[] = [];
  for await (const piece of writeBundle({ ...rest, pruned: tiles(), entries: stored() })) pieces.push(piece);
  return concat(...pieces);
}
