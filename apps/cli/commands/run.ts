import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import type { Command } from 'commander';
import { environmentWith } from '#runtime';
import { UsageError } from '../exit-codes.js';
import { bytesOf, VARIABLE, type Wanted, wantedAs } from '../secrets/wanted.js';
import type { OpenSession } from '../session.js';
import { CommandEnded } from './command-ended.js';

const AFTER_HELP = `
The variable is named after the secret (db/app-password: APP_PASSWORD) unless =VARIABLE says otherwise; NAME#FIELD takes one field of a
value that is a JSON object. The secrets are in the environment of that program only, which whoever runs as the same user can read.
Exit code: the program's; 128 and the signal's number when one ended it; 127 when it cannot be started.

Example:
  keyward run --tenant acme --credentials billing.json --secret db/app#username=PGUSER --secret db/app#password=PGPASSWORD -- psql -h db app
`;

/** As shells do. */
const CANNOT_START = 127;
const BY_SIGNAL = 128;
const FORWARDED = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGUSR2'] as const;

interface RunOptions {
  readonly secret: readonly Wanted[];
}

/** Secrets for one program, for as long as it runs. */
export function runCommand(program: Command, open: OpenSession): void {
  program
    .command('run <program> [arguments...]')
    .description('run a program with secrets in its environment, and nowhere else')
    .requiredOption('--secret <name[#field][=variable]>', 'a secret it needs; may be repeated', wantedAs(VARIABLE))
    .addHelpText('after', AFTER_HELP)
    .action(async (file: string, given: readonly string[], { secret }: RunOptions, command: Command) => {
      const session = open(command);
      const values = await bytesOf(session, secret);
      const variables = secret.map(({ secretId, to }, index): [string, string] => [to, textOf(values[index]!, secretId)]);
      throw new CommandEnded(await ran(file, given, environmentWith(Object.fromEntries(variables)), (text) => session.say(text)));
    });
}

/** @throws UsageError for what no environment can hold */
function textOf(value: Buffer, secretId: string): string {
  const text = value.toString('utf8');
  const fits = !value.includes(0) && Buffer.from(text).equals(value);
  value.fill(0);
  if (fits) return text;
  throw new UsageError(`The value of ${secretId} is no text: an environment cannot hold it. Take keyward secret-files.`);
}

function ran(file: string, given: readonly string[], env: Record<string, string>, say: (text: string) => void): Promise<number> {
  const child = spawn(file, given, { env, stdio: 'inherit' });
  const forward = (signal: NodeJS.Signals) => void child.kill(signal);
  for (const signal of FORWARDED) process.on(signal, forward);
  return new Promise<number>((resolve) => {
    child.once('error', (error: NodeJS.ErrnoException) => {
      say(`keyward: ${file} cannot be started (${error.code ?? 'unknown'}).`);
      resolve(CANNOT_START);
    });
    child.once('exit', (code, signal) => resolve(code ?? BY_SIGNAL + constants.signals[signal!]));
  }).finally(() => {
    for (const signal of FORWARDED) process.off(signal, forward);
  });
}
