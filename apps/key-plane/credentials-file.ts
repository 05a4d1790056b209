import { closeSync, fsyncSync, openSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { credentialId, type CredentialId } from '#contract';

/**
 * The file with the first operator's credential. It is written aside before the database commits, under the credential's id, and
 * gets its name after it: no crash leaves a platform without its operator, and nobody who is second overwrites who was first.
 */
export class CredentialsFile {
  constructor(readonly path: string) {}

  /** Writes a credential aside, for its owner only; it is on disk afterwards. @throws Error of the system, also when it exists */
  writeAside(id: CredentialId, text: string): void {
    writeFileSync(this.#aside(id), text, { flag: 'wx', mode: 0o600, flush: true });
    syncFolder(this.path);
  }

  /** Removes what was written aside for a credential that was not to be. */
  discard(id: CredentialId): void {
    rmSync(this.#aside(id), { force: true });
  }

  /**
   * Gives the credential that opens something its name. One that opens nothing stays aside: another process may be about to
   * commit it.
   */
  async settle(opens: (id: CredentialId) => Promise<boolean>): Promise<void> {
    for (const id of this.#idsAside()) {
      if (!(await opens(id))) continue;
      try {
        renameSync(this.#aside(id), this.path);
      } catch (error) {
        // Whoever else settles has done it.
        if (!isAbsent(error)) throw error;
      }
      syncFolder(this.path);
    }
  }

  #aside(id: CredentialId): string {
    return `${this.path}.${id}`;
  }

  #idsAside(): readonly CredentialId[] {
    const prefix = `${basename(this.path)}.`;
    return readdirSync(dirname(this.path))
      .filter((name) => name.startsWith(prefix))
      .map((name) => credentialId.safeParse(name.slice(prefix.length)))
      .flatMap(({ data }) => data ?? []);
  }
}

function syncFolder(path: string): void {
  const folder = openSync(dirname(path), 'r');
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}

const isAbsent = (error: unknown) => error instanceof Error && 'code' in error && error.code === 'ENOENT';
