import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { Readable, type Writable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { encodeRow } from '#custody/socket';
import { asBackupSuperuser, eachVersion, inDatabase, type SavedVersion, versionsWithMaterial } from '#persistence/backup';
import { builtProgram } from '#runtime';
import { VerificationFailed } from '../exit-codes.js';
import { bar, CLEAR, isTerminal } from '../progress.js';

export interface ClosedVersion extends Omit<SavedVersion, 'row'> {
  readonly problem: string;
}
export interface VerifiedKeys {
  readonly opened: number;
  /** Those that do not open. */
  readonly closed: readonly ClosedVersion[];
}

const TELL_EVERY = 500;

/**
 * Has the token open every key version whose material is in the database. Nothing of a key leaves the custodian's program, which has the PIN
 * and answers a line a version. @param env what opens the token
 * @throws VerificationFailed where the token itself does not open
 */
export async function verifyKeys(superuserUrl: string, env: Readonly<Record<string, string>>, talk: Writable): Promise<VerifiedKeys> {
  return await asBackupSuperuser(inDatabase(superuserUrl), async (client) => {
    const tell = progress(await versionsWithMaterial(client), talk);
    const closed: ClosedVersion[] = [];
    let opened = 0;
    for await (const { problem, ...version } of tried(eachVersion(client), env)) {
      if (problem === '') opened++;
      else closed.push({ ...version, problem });
      tell(opened + closed.length);
    }
    return { opened, closed };
  });
}

/** Each with what is wrong with it, or nothing. The two programs wait for each other, so that few versions are on their way. */
async function* tried(versions: AsyncIterable<SavedVersion>, env: Readonly<Record<string, string>>): AsyncGenerator<ClosedVersion> {
  const command = [process.execPath, '--disable-sigusr1', builtProgram('custodian', 'open-versions.js')];
  const child = spawn('/bin/sh', ['-c', 'ulimit -c 0; exec "$@"', 'sh', ...command], { env });
  const ended = once(child, 'close');
  const said = text(child.stderr);
  const [unreadable, asked]: [ClosedVersion[], Omit<SavedVersion, 'row'>[]] = [[], []];
  const lines = async function* () {
    for await (const { row, ...version } of versions) {
      if (row === undefined) unreadable.push({ ...version, problem: 'its row is none of a key version' });
      else yield (asked.push(version), `${version.tenant} ${encodeRow(row).toString('base64')}\n`);
    }
  };
  const sent = pipeline(Readable.from(lines()), child.stdin);
  // A program that ends early reads no further: it says why.
  void sent.catch(() => undefined);
  for await (const problem of createInterface({ input: child.stdout })) yield { ...asked.shift()!, problem };
  const [code] = (await ended) as [number | null];
  if (code !== 0) throw new VerificationFailed(`The token was not opened: ${(await said).trim()}`);
  await sent;
  yield* unreadable;
}

function progress(total: number, talk: Writable): (done: number) => void {
  return (done) => {
    if (!isTerminal(talk)) return;
    if (done === total) talk.write(CLEAR);
    else if (done % TELL_EVERY === 0) talk.write(`${CLEAR}${bar(done / total)}${done} of ${total} key versions`);
  };
}
