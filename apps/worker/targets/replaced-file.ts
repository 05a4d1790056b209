import { createHash } from 'node:crypto';
import { setTimeout } from 'node:timers/promises';
import type { SFTPWrapper } from 'ssh2';
import { TargetError } from './rotation-target.js';

/** Whoever holds a lock for longer has died: an edit takes some round trips. */
const STALE_MS = 10_000;
/** In the moment in which it was looked at. */
const GONE = 'gone';
const MAX_BYTES = 1024 * 1024;
/** SSH_FX_NO_SUCH_FILE (draft-ietf-secsh-filexfer-02, which OpenSSH speaks). */
const NO_SUCH_FILE = 2;

type Done<Answer> = (error: Error | null | undefined, answer: Answer) => void;
/** Runs one call of SFTP's. */
export type Call = <Answer = void>(start: (sftp: SFTPWrapper, done: Done<Answer>) => void) => Promise<Answer>;

/**
 * Edits a file over SFTP: whoever reads it sees it as it was or as it will be, and its mode and owner stay. Edits of several rotations
 * wait for each other, by a symbolic link beside it that names its holder; the same holder comes in again, since it repeats itself.
 * @param edit of the text, a character a byte; may throw
 */
export async function editFile(call: Call, path: string, holder: string, edit: (text: string) => string): Promise<void> {
  const lock = `${path}.keyward-lock`;
  await take(call, lock, holder);
  try {
    const { size } = await call<{ size: number }>((sftp, done) => sftp.stat(path, done));
    if (size > MAX_BYTES) throw new TargetError('refused', 'the file is too large');
    const text = (await call<Buffer>((sftp, done) => sftp.readFile(path, done))).toString('latin1');
    const edited = edit(text);
    if (edited !== text) await replace(call, path, Buffer.from(edited, 'latin1'));
  } finally {
    await remove(call, lock);
  }
}

async function take(call: Call, lock: string, holder: string): Promise<void> {
  let seen = '';
  let since = performance.now();
  for (;;) {
    let held: string | undefined;
    try {
      await call((sftp, done) => sftp.symlink(holder, lock, (error) => done(error, undefined)));
      return;
    } catch (error) {
      // The server says only that it failed; whether because somebody holds it, the link tells. Or it cannot be made at all.
      held = await unlessMissing(call<string>((sftp, done) => sftp.readlink(lock, done)));
      if (held === undefined && seen === GONE) throw error;
    }
    if (held === holder) return;
    const now = held === undefined ? GONE : `${held} ${await modified(call, lock)}`;
    if (now !== seen) [seen, since] = [now, performance.now()];
    if (now !== GONE && performance.now() - since > STALE_MS) await remove(call, lock);
    await setTimeout(100);
  }
}

/** Seconds by the server's clock; 0 for what is gone. */
async function modified(call: Call, path: string): Promise<number> {
  return (await unlessMissing(call<{ mtime: number }>((sftp, done) => sftp.lstat(path, done))))?.mtime ?? 0;
}

/** Its name is its content's: an attempt that broke off left the same, or another one. */
async function replace(call: Call, path: string, bytes: Buffer): Promise<void> {
  const fresh = `${path}.keyward-${createHash('sha256').update(bytes).digest('hex').slice(0, 16)}`;
  const { mode, uid, gid } = await call<{ mode: number; uid: number; gid: number }>((sftp, done) => sftp.stat(path, done));
  await remove(call, fresh);
  // Never through a link that somebody put there.
  const handle = await call<Buffer>((sftp, done) => sftp.open(fresh, 'wx', 0o600, done));
  const made = await call<{ uid: number; gid: number }>((sftp, done) => sftp.fstat(handle, done));
  await call((sftp, done) => sftp.write(handle, bytes, 0, bytes.length, 0, (error) => done(error, undefined)));
  const owner = made.uid === uid && made.gid === gid ? {} : { uid, gid };
  await call((sftp, done) => sftp.fsetstat(handle, { mode: mode & 0o7777, ...owner }, (error) => done(error, undefined)));
  await call((sftp, done) => sftp.ext_openssh_fsync(handle, (error) => done(error, undefined)));
  await call((sftp, done) => sftp.close(handle, (error) => done(error, undefined)));
  await call((sftp, done) => sftp.ext_openssh_rename(fresh, path, (error) => done(error, undefined)));
}

async function remove(call: Call, path: string): Promise<void> {
  await unlessMissing(call((sftp, done) => sftp.unlink(path, (error) => done(error, undefined))));
}

async function unlessMissing<Answer>(work: Promise<Answer>): Promise<Answer | undefined> {
  try {
    return await work;
  } catch (error) {
    if ((error as { code?: unknown }).code === NO_SUCH_FILE) return undefined;
    throw error;
  }
}
