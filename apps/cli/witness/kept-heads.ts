import { createHash } from 'node:crypto';
import { closeSync, fsyncSync, openSync, readFileSync, renameSync, statSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { type Checkpoint, parseCheckpoint } from '#trail';

/** The newest checkpoint of each log that a witness cosigned, one file a log in its directory. */
export class KeptHeads {
  constructor(private readonly folder: string) {}

  /** The note as it is kept; undefined for a log that was never seen. @throws when it cannot be read: then nothing may be signed */
  note(originHash: string): string | undefined {
    const file = this.#file(originHash);
    // Not existsSync: it says no as well when the folder may not be entered, and a log that was seen would be new again.
    return statSync(file, { throwIfNoEntry: false }) === undefined ? undefined : readFileSync(file, 'utf8');
  }

  newest(origin: string): Checkpoint | undefined {
    const note = this.note(hashOfOrigin(origin));
    return note === undefined ? undefined : parseCheckpoint(note);
  }

  /** On the disk, name and all, when it returns; a crash leaves the old one or the new one. */
  keep(origin: string, note: string): void {
    this.#keep(`${hashOfOrigin(origin)}.checkpoint`, note);
  }

  #keep(name: string, text: string): void {
    const file = join(this.folder, name);
    writeDurably(`${file}.new`, text);
    renameSync(`${file}.new`, file);
    syncFolder(this.folder);
  }

  /** Verifier keys of a log that followed from those that the witness was started with. */
  keys(origin: string): readonly string[] {
    const file = join(this.folder, `${hashOfOrigin(origin)}.vkeys`);
    return statSync(file, { throwIfNoEntry: false }) === undefined ? [] : readFileSync(file, 'utf8').trimEnd().split('\n');
  }

  keepKeys(origin: string, vkeys: readonly string[]): void {
    this.#keep(`${hashOfOrigin(origin)}.vkeys`, `${vkeys.join('\n')}\n`);
  }

  #file = (originHash: string) => join(this.folder, `${originHash}.checkpoint`);
}

export const hashOfOrigin = (origin: string): string => createHash('sha256').update(origin).digest('hex');

function writeDurably(file: string, text: string): void {
  const handle = openSync(file, 'w', 0o600);
  try {
    writeSync(handle, text);
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}

function syncFolder(folder: string): void {
  const handle = openSync(folder, 'r');
  try {
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}
