import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { open, rename } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import type { ClaimedTree } from '#core';
import { CheckpointRefused } from '../checkpoint-refused.js';
import { whole } from './corrupt-file.js';
import { syncFolder } from './sync-folder.js';

const checkpoint = z.object({
  log: z.string(),
  origin: z.string(),
  size: z.string().regex(/^\d+$/),
  root: z.string().regex(/^[0-9a-f]{64}$/),
});
type Checkpoint = z.infer<typeof checkpoint>;

/** Whether `proof` shows that the tree of `fromSize` is the beginning of the tree of `toSize` (RFC 9162 §2.1.4.2); libs/trail's. */
export type VerifyConsistency = (claim: {
  readonly fromSize: number;
  readonly fromRoot: Uint8Array;
  readonly toSize: number;
  readonly toRoot: Uint8Array;
  readonly proof: readonly Uint8Array[];
}) => boolean;

/** One claim that waits for the disk. */
interface Waiting {
  readonly line: string;
  readonly resolve: () => void;
  readonly reject: (cause: unknown) => void;
}

const FILE_NAME = 'signed-checkpoints.jsonl';
/** The file is written anew when it has more lines than these: of each log only the last one counts. */
const LINES = { perLog: 4, spare: 64 } as const;

/**
 * The largest tree that was signed for each log, in a file of the custodian's own: the database, restored from a backup, would
 * let the signer fork a log. One JSON line a claim is appended, with one fdatasync for all that wait.
 */
export class SignedCheckpoints {
  #waiting: Waiting[] = [];
  #writing = false;
  #lines: number;

  private constructor(
    private readonly directory: string,
    private readonly last: Map<string, Checkpoint>,
    private file: FileHandle,
    private readonly isConsistent: VerifyConsistency,
  ) {
    this.#lines = last.size;
  }

  /** Opens or creates `signed-checkpoints.jsonl` in a directory. @throws CorruptFile when it holds anything but what was written here. */
  static async open(directory: string, isConsistent: VerifyConsistency): Promise<SignedCheckpoints> {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    const last = read(join(directory, FILE_NAME));
    return new SignedCheckpoints(directory, last, await writtenAnew(directory, last), isConsistent);
  }

  /** Records under the largest tree that was claimed; 0 before the first. */
  sizeOf(log: string): bigint {
    return BigInt(this.last.get(log)?.size ?? 0);
  }

  /** Of that tree, 32 bytes. */
  rootOf(log: string): Uint8Array | undefined {
    const root = this.last.get(log)?.root;
    return root === undefined ? undefined : Uint8Array.from(Buffer.from(root, 'hex'));
  }

  /**
   * Claims a tree for signing: resolves when the claim is on disk. `log` is tenant and log id, `root` 32 bytes, `proof` the consistency
   * proof from the largest tree so far.
   * @throws CheckpointRefused for a smaller tree, another root at the same size, a tree that does not begin with the largest so far,
   * another origin than this log's first, or another log's origin: one key signs all logs of a tenant, and to whoever verifies them the origin is the log.
   */
  async claim(log: string, origin: string, { size, root, proof }: ClaimedTree): Promise<void> {
    const next = { log, origin, size: size.toString(), root: Buffer.from(root).toString('hex') };
    const known = this.last.get(log);
    if (known !== undefined) {
      refuseFork(known, next);
      if (!this.#extends(known, next, proof))
        throw new CheckpointRefused(`a tree of ${next.size} that does not begin with the one of ${known.size}`);
    } else if (this.last.values().some((other) => other.origin === origin)) throw new CheckpointRefused("another log's origin");
    // Before the disk: a second claim that comes meanwhile is compared with this one.
    this.last.set(log, next);
    await this.#append(`${JSON.stringify(next)}\n`);
  }

  #extends(known: Checkpoint, next: Checkpoint, proof: readonly Uint8Array[]): boolean {
    if (known.size === '0') return true;
    const [fromRoot, toRoot] = [known.root, next.root].map((root) => Uint8Array.from(Buffer.from(root, 'hex')));
    return this.isConsistent({ fromSize: Number(known.size), fromRoot: fromRoot!, toSize: Number(next.size), toRoot: toRoot!, proof });
  }

  async close(): Promise<void> {
    await this.file.close();
  }

  #append(line: string): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ line, resolve, reject });
      if (!this.#writing) void this.#write();
    });
  }

  async #write(): Promise<void> {
    this.#writing = true;
    while (this.#waiting.length > 0) {
      const batch = this.#waiting;
      this.#waiting = [];
      try {
        await this.#store(batch);
        for (const { resolve } of batch) resolve();
      } catch (error) {
        for (const { reject } of batch) reject(error);
      }
    }
    this.#writing = false;
  }

  async #store(batch: readonly Waiting[]): Promise<void> {
    const lines = this.#lines + batch.length;
    // Unless all goes well there may be half a line, or a file not surely under its name: then the next claim writes it anew.
    this.#lines = Infinity;
    if (lines > LINES.perLog * this.last.size + LINES.spare) return await this.#compact();
    await this.file.appendFile(batch.map(({ line }) => line).join(''));
    await this.file.datasync();
    this.#lines = lines;
  }

  /** Writes down every claim that was made, those that wait for this included. */
  async #compact(): Promise<void> {
    const [old, lines] = [this.file, this.last.size];
    this.file = await writtenAnew(this.directory, this.last);
    this.#lines = lines;
    await old.close();
  }
}

function refuseFork(known: Checkpoint, next: Checkpoint): void {
  if (known.origin !== next.origin) throw new CheckpointRefused('another origin');
  if (BigInt(next.size) < BigInt(known.size)) throw new CheckpointRefused(`a tree of ${next.size} after one of ${known.size}`);
  if (next.size === known.size && next.root !== known.root) throw new CheckpointRefused(`another root at size ${next.size}`);
}

function read(path: string): Map<string, Checkpoint> {
  const last = new Map<string, Checkpoint>();
  const lines = completeLines(path);
  whole(path, () => {
    for (const line of lines) {
      const known = checkpoint.parse(JSON.parse(line));
      const before = last.get(known.log);
      if (before !== undefined) refuseFork(before, known);
      last.set(known.log, known);
    }
  });
  return last;
}

/** A last line without its newline was never answered for: the crash, or the full disk, came before its fdatasync. */
function completeLines(path: string): readonly string[] {
  return existsSync(path) ? readFileSync(path, 'utf8').split('\n').slice(0, -1) : [];
}

/** Replaces the file in one step, and answers the new one, open for appending, when the disk holds it under its name. */
async function writtenAnew(directory: string, last: ReadonlyMap<string, Checkpoint>): Promise<FileHandle> {
  const text = [...last.values()].map((known) => `${JSON.stringify(known)}\n`).join('');
  const path = join(directory, FILE_NAME);
  const file = await open(`${path}.new`, 'a', 0o600);
  try {
    await file.truncate();
    await file.appendFile(text);
    await file.sync();
    await rename(`${path}.new`, path);
    await syncFolder(directory);
    return file;
  } catch (error) {
    await file.close();
    throw error;
  }
}
