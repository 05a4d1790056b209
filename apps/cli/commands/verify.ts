import type { Command } from 'commander';
import { createReadStream, existsSync } from 'node:fs';
import { type VerificationReport, verifyBundle } from '#trail';
import { EXIT, UsageError } from '../exit-codes.js';
import type { OpenSession } from '../session.js';
import { CommandEnded } from './command-ended.js';

/** For anybody who has a bundle: no server, no credential. */
export function verifyCommand(program: Command, open: OpenSession): void {
  program
    .command('verify <bundle>')
    .description('verify a downloaded log offline: its signature, every record, their order')
    .option('--vkey <key>', "the log's verifier key as you noted it earlier (default: the one in the file of --credentials)")
    .addHelpText('after', '\nExit code 0: the log is as it was signed. 6: it is not, and the first bad record is named.\n')
    .action(async (file: string, { vkey }: { vkey?: string }, command: Command) => {
      const session = open(command);
      if (!existsSync(file)) throw new UsageError(`${file} cannot be read.`);
      const report = await verifyBundle(createReadStream(file), { vkey: vkey ?? session.pinnedVkey });
      session.answer(report, readable(report));
      if (report.status === 'failed') throw new CommandEnded(EXIT.verification);
    });
}

/** The report in words. */
export function readable(report: VerificationReport): string {
  if (report.status === 'failed') {
    const place = report.index === undefined ? '' : `\nfirst bad record: ${report.index}`;
    return `FAILED (${report.code})${place}\n${report.message}`;
  }
  const { origin, size, root, firstAt, lastAt, pinned } = report;
  const times = firstAt === undefined ? '' : `\nfrom ${firstAt} to ${lastAt}`;
  const key = pinned
    ? 'Signed by the key that you pinned.'
    : 'Signed by the key inside the bundle: who made the bundle could have chosen it. Give --vkey to know better.';
  return `OK: ${size} records, none missing, none changed\nlog  ${origin}${times}\nroot ${root}\n${key}`;
}
