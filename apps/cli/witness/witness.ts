import { type KeyObject, sign } from 'node:crypto';
import {
  AddCheckpointRefused,
  type Checkpoint,
  cosignature,
  cosignedBytes,
  EMPTY_ROOT,
  followKeys,
  formatNote,
  KeyLinkRefused,
  NoteRefused,
  parseAddCheckpoint,
  parseKeyLinks,
  parseVkey,
  signatureLine,
  TLOG_SIZE_TYPE,
  type VerifierKey,
  VerifierKeyRefused,
  verifyConsistency,
  verifyNote,
} from '#trail';
import type { KeptHeads } from './kept-heads.js';

export interface WitnessAnswer {
  readonly status: 200 | 400 | 403 | 404 | 409 | 422;
  readonly body: string;
  readonly type?: string;
}

export interface WitnessIdentity {
  readonly name: string;
  readonly publicKey: Uint8Array;
  readonly privateKey: KeyObject;
}

type Asked = ReturnType<typeof parseAddCheckpoint> & { readonly keys: readonly VerifierKey[] };

/**
 * Cosigns a log's checkpoint only if it continues the one that it cosigned last (C2SP tlog-witness). So whoever trusts it sees the same
 * log as everybody else who does.
 */
export class Witness {
  constructor(
    private readonly identity: WitnessIdentity,
    /** Keys of the logs that it watches. */
    private readonly logs: readonly VerifierKey[],
    private readonly heads: KeptHeads,
    /** POSIX seconds. */
    private readonly now: () => number,
  ) {}

  /** @throws when what was kept cannot be read, or the new checkpoint not be kept: then there is no cosignature */
  async addCheckpoint(request: string): Promise<WitnessAnswer> {
    const asked = await this.#signed(request);
    return 'status' in asked ? asked : this.#advance(asked);
  }

  /**
   * Takes the keys that follow from a log's known ones (one key link a line, of its bundle's keys.jsonl). They give whoever has them no more
   * than the known ones do: what they sign must continue what was cosigned. Not in C2SP: other witnesses are told a new key by their owner.
   */
  async addKeys(request: string): Promise<WitnessAnswer> {
    try {
      const links = parseKeyLinks(request);
      const origin = parseVkey(links[0]?.vkey ?? '').name;
      const known = this.#keysOf(origin);
      if (known.length === 0) return refusal(404, 'This witness does not watch this log.');
      const { keys } = await followKeys(known, links);
      this.heads.keepKeys(
        origin,
        keys.map(({ text }) => text),
      );
      return { status: 200, body: `${keys.length}\n` };
    } catch (error) {
      if ([KeyLinkRefused, NoteRefused, VerifierKeyRefused].some((kind) => error instanceof kind))
        return refusal(403, error instanceof Error ? error.message : '');
      throw error;
    }
  }

  /** Those that it was started with, and those that followed from them. */
  #keysOf(origin: string): readonly VerifierKey[] {
    const named = this.logs.filter(({ name }) => name === origin);
    const followed = named.length === 0 ? [] : this.heads.keys(origin).map(parseVkey);
    return [...named, ...followed.filter(({ text }) => named.every((one) => one.text !== text))];
  }

  /** What is asked, once its log's own key has signed it. */
  async #signed(request: string): Promise<Asked | WitnessAnswer> {
    try {
      const { checkpoint, ...asked } = parseAddCheckpoint(request);
      const keys = this.#keysOf(checkpoint.origin);
      if (keys.length === 0) return refusal(404, 'This witness does not watch this log.');
      await verifyNote(checkpoint.note, keys);
      return { ...asked, checkpoint, keys };
    } catch (error) {
      if (error instanceof AddCheckpointRefused) return refusal(400, error.message);
      if (error instanceof NoteRefused) return refusal(403, error.message);
      throw error;
    }
  }

  /** Synchronous from reading what is kept to keeping the new one: no other submission comes between. */
  #advance({ checkpoint, keys, oldSize, proof }: Asked): WitnessAnswer {
    const { origin, size, root } = checkpoint;
    const kept = this.heads.newest(origin) ?? { size: 0n, root: EMPTY_ROOT };
    if (BigInt(oldSize) > size) return refusal(400, 'The old size is larger than the checkpoint.');
    const isFork = kept.size === size && Buffer.compare(kept.root, root) !== 0;
    if (BigInt(oldSize) !== kept.size || isFork) return { status: 409, body: `${kept.size}\n`, type: TLOG_SIZE_TYPE };
    if (!verifyConsistency({ fromSize: oldSize, fromRoot: kept.root, toSize: Number(size), toRoot: root, proof }))
      return refusal(422, 'The proof does not show that this log continues the one that was cosigned.');
    return { status: 200, body: this.#cosign(checkpoint, keys) };
  }

  /** Kept before it is given away. */
  #cosign({ origin, note }: Checkpoint, keys: readonly VerifierKey[]): string {
    const { name, publicKey, privateKey } = this.identity;
    const time = this.now();
    const own = cosignature(name, publicKey, time, sign(null, cosignedBytes(note.body, time), privateKey));
    const byLog = note.signatures.filter((one) => keys.some((key) => key.name === one.name && Buffer.compare(key.keyId, one.keyId) === 0));
    this.heads.keep(origin, formatNote({ body: note.body, signatures: [...byLog.slice(0, 15), own] }));
    return signatureLine(own);
  }
}

const refusal = (status: WitnessAnswer['status'], detail: string): WitnessAnswer => ({ status, body: `${detail}\n` });
