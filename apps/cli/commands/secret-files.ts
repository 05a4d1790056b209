import { setTimeout as sleep } from 'node:timers/promises';
import type { Command } from 'commander';
import { KeywardError } from '#sdk';
import { SecretFolder } from '../secrets/secret-folder.js';
import { bytesOf, FILE, type Wanted, wantedAs } from '../secrets/wanted.js';
import type { OpenSession, Session } from '../session.js';
import { wholeNumber } from './options.js';

const AFTER_HELP = `
A file is named after the secret (db/app-password: app-password) unless =FILE says otherwise; NAME#FIELD takes one field of a value that is a
JSON object. Files are replaced as a whole, 0600, in a folder that only you may enter (it is made).
With --watch they follow the secrets until the command is ended, and are removed then: also as soon as a secret is refused, stopped or gone.
While Keyward does not answer they stay, for --stale seconds at most.

Example:
  keyward secret-files /run/billing --tenant acme --credentials billing.json --secret db/app#password=db-password --watch 60
`;

interface FilesOptions {
  readonly secret: readonly Wanted[];
  readonly watch?: number;
  readonly stale: number;
}

const STALE_S = 300;
const ENDINGS = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'] as const;

/** Secrets as files, for programs that read files. */
export function secretFilesCommand(program: Command, open: OpenSession): void {
  program
    .command('secret-files <folder>')
    .description('put secrets into files of a folder, once or for as long as they may be read')
    .requiredOption('--secret <name[#field][=file]>', 'a secret; may be repeated', wantedAs(FILE))
    .option('--watch <seconds>', 'stay, and look for new values so often', wholeNumber(1))
    .option('--stale <seconds>', 'with --watch: how long files stay while Keyward does not answer', wholeNumber(0), STALE_S)
    .addHelpText('after', AFTER_HELP)
    .action(async (path: string, options: FilesOptions, command: Command) => {
      const session = open(command);
      const folder = new SecretFolder(path);
      if (options.watch !== undefined) return await watched(session, folder, options, options.watch * 1000);
      session.answer({ folder: path, files: await written(session, folder, options.secret) });
    });
}

async function written(session: Session, folder: SecretFolder, wanted: readonly Wanted[]): Promise<string[]> {
  const values = await bytesOf(session, wanted);
  const changed = wanted.filter(({ to }, index) => folder.write(to, values[index]!)).map(({ to }) => to);
  for (const value of values) value.fill(0);
  return changed;
}

async function watched(session: Session, folder: SecretFolder, { secret, stale }: FilesOptions, everyMs: number): Promise<void> {
  const ended = new AbortController();
  const end = () => ended.abort();
  for (const signal of ENDINGS) process.once(signal, end);
  let readAt = performance.now();
  try {
    while (!ended.signal.aborted) {
      try {
        const files = await written(session, folder, secret);
        readAt = performance.now();
        if (files.length > 0) session.answer({ folder: folder.path, files });
      } catch (error) {
        const mayStay = error instanceof KeywardError && error.retryable && performance.now() - readAt < stale * 1000;
        if (!mayStay) throw error;
        session.say(`keyward: ${error.message} The files stay as they are.`);
      }
      await sleep(everyMs, undefined, { signal: ended.signal }).catch(() => undefined);
    }
  } finally {
    folder.remove(secret.map(({ to }) => to));
    for (const signal of ENDINGS) process.off(signal, end);
  }
}
