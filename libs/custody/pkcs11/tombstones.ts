import { mkdirSync } from 'node:fs';
import { open } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { keyId, type KeyId, keyVersionId, tenantId } from '#contract';
import type { Tombstone } from '#core';
import { whole } from './corrupt-file.js';
import { syncFolder } from './sync-folder.js';

const FILE_NAME = 'tombstones.jsonl';

/** Lines of the file. `root`: the newest of the tenant's roots when the key was destroyed; under that one, or an older one, it was wrapped. */
const keptKey = z.strictObject({
  ...{ tenant: tenantId, keyId, versionIds: z.array(keyVersionId), destroyedAt: z.iso.datetime() },
  root: z.int().min(0),
});
export type KeptTombstone = z.infer<typeof keptKey>;

/**
 * Keys that were destroyed, in an append-only file of the custodian's own: whatever a restored database says, a key that is in it
 * is never used again. One JSON line each, on disk before it is answered for.
 */
export class Tombstones {
  readonly #keys = new Map<string, KeptTombstone>();
  readonly #unwritten = new Set<string>();
  #tail: Promise<void> = Promise.resolve();
  #isWhole = true;

  private constructor(
    private readonly file: FileHandle,
    /** Bytes of complete lines. */
    private length: number,
  ) {}

  /** Opens or creates `tombstones.jsonl` in a directory. @throws CorruptFile when it holds anything but what was written here. */
  static async open(directory: string): Promise<Tombstones> {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    const file = await open(join(directory, FILE_NAME), 'a+', 0o600);
    await syncFolder(directory);
    const text = await file.readFile('utf8');
    // Half a line was never answered for.
    const complete = text.slice(0, text.lastIndexOf('\n') + 1);
    await file.truncate(Buffer.byteLength(complete));
    const tombstones = new Tombstones(file, Buffer.byteLength(complete));
    for (const kept of keptIn(join(directory, FILE_NAME), complete)) tombstones.#remember(kept);
    return tombstones;
  }

  /** Undefined for a key that nobody destroyed. */
  of(tenant: string, key: string): KeptTombstone | undefined {
    return this.#keys.get(nameOf(tenant, key));
  }

  /** A tenant's destroyed keys after this one, by id. */
  destroyedAfter(tenant: string, key: string, most: number): KeyId[] {
    const ids = this.#keys.values().flatMap((kept) => (kept.tenant === tenant && kept.keyId > key ? [kept.keyId] : []));
    return [...ids].sort().slice(0, most);
  }

  /** In memory at once, so that nothing slips in between; resolves when it is on disk. The first of a key stays. */
  async keep({ tenant, keyId: key, versionIds, destroyedAt }: Omit<Tombstone, 'mac'>, root: number): Promise<void> {
    const name = nameOf(tenant, key);
    if (!this.#keys.has(name)) {
      this.#remember({ tenant, keyId: key, versionIds: [...versionIds], destroyedAt, root });
      this.#unwritten.add(name);
    }
    if (!this.#unwritten.has(name)) return;
    this.#tail = this.#tail.catch(() => undefined).then(() => this.#write(name));
    await this.#tail;
  }

  async close(): Promise<void> {
    await this.#tail.catch(() => undefined);
    await this.file.close();
  }

  #remember(kept: KeptTombstone): void {
    this.#keys.set(nameOf(kept.tenant, kept.keyId), kept);
  }

  async #write(name: string): Promise<void> {
    if (!this.#unwritten.has(name)) return;
    const line = Buffer.from(`${JSON.stringify(this.#keys.get(name))}\n`);
    // A write that failed may have left half a line.
    if (!this.#isWhole) await this.file.truncate(this.length);
    this.#isWhole = false;
    await this.file.appendFile(line);
    await this.file.datasync();
    this.length += line.length;
    this.#isWhole = true;
    this.#unwritten.delete(name);
  }
}

const keptIn = (path: string, text: string): KeptTombstone[] =>
  whole(path, () =>
    text
      .split('\n')
      .slice(0, -1)
      .map((line) => keptKey.parse(JSON.parse(line))),
  );

const nameOf = (tenant: string, key: string): string => `${tenant}/${key}`;
