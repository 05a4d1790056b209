import type { Command } from 'commander';
import { createReadStream } from 'node:fs';
import { nodeSpeed } from '#sdk';
import { verifyBundle } from '#trail';
import { UsageError } from '../exit-codes.js';
import type { OpenSession } from '../session.js';
import { table } from '../terminal.js';
import { wholeNumber } from './options.js';

/** For a tenant's admins and auditors: the log itself, not what is in it. */
export function logCommands(program: Command, open: OpenSession): void {
  const log = program.command('log').description("the tenant's log itself: its keys, and how long it keeps records");
  log
    .command('show')
    .description('its origin, its keys as the ISV tells them, the newest first, and how far it is signed (auditors)')
    .action(async (_options: object, command: Command) => {
      const session = open(command);
      const shown = await session.admin.log(session.tenant);
      const { origin, signedSize, vkeys } = shown;
      session.answer(
        shown,
        table(
          ['ORIGIN', 'SIGNED', 'KEY'],
          vkeys.map((vkey, at) => (at === 0 ? [origin, String(signedSize), vkey] : ['', '', vkey])),
        ),
      );
    });
  log
    .command('rotate-key')
    .description(
      "make the log's next key; both sign until the older one is retired and leaves the HSM (admins; operators with --tenant platform)",
    )
    .option('--overlap-days <n>', 'so long both sign: time for everybody who pinned the older one', wholeNumber(1))
    .addHelpText(
      'after',
      `
Whoever pinned the older key needs nothing new: \`verify\`, \`witness\` and the mirror follow from it to the new one, which a record names.

Example:
  keyward log rotate-key --overlap-days 30 --credentials anna.json
  keyward log rotate-key --tenant platform          (the platform's own log, by its operator)
`,
    )
    .action(async (options: { readonly overlapDays?: number }, command: Command) => {
      const session = open(command);
      const made = await session.admin.rotateLogKey(session.tenant, options);
      session.answer(made, made.vkey);
      session.say(`The older key signs as well until ${made.replacedAt}.`);
    });
  log
    .command('retention')
    .description('how long records are kept at least: 180 days or more; 7 years unless said otherwise (admins)')
    .requiredOption('--days <n>', 'days', wholeNumber(180))
    .action(async ({ days }: { readonly days: number }, command: Command) => {
      const session = open(command);
      session.answer(await session.admin.setRetention(session.tenant, { days }));
    });
  log
    .command('prune')
    .description('take away records that are older than the retention, and of which you keep a copy (admins)')
    .requiredOption('--min-index <n>', 'records below it go: a multiple of 256', wholeNumber(256))
    .requiredOption('--exported <bundle>', 'your copy: it is verified first, and names what it covers')
    .option('--vkey <key>', "the log's verifier key (default: the one in the file of --credentials)")
    .addHelpText(
      'after',
      `
Hashes, checkpoints and counts stay: what is kept later, and every proof, verifies as before, and \`verify\` says where the log begins.

Example:
  keyward log prune --min-index 1048576 --exported acme.tar --credentials anna.json
`,
    )
    .action(async ({ minIndex, exported, vkey }: PruneOptions, command: Command) => {
      const session = open(command);
      const report = await verifyBundle(createReadStream(exported), { vkey: vkey ?? session.pinnedVkey, ...nodeSpeed });
      if (report.status === 'failed') throw new UsageError(`${exported} does not stand: ${report.message}`);
      const { size, root, prunedBefore = 0 } = report;
      session.answer(await session.admin.pruneRecords(session.tenant, { minIndex, exported: { size, root } }));
      session.say(`Keep ${exported}: it has records ${prunedBefore} to ${size - 1}.`);
    });
}

interface PruneOptions {
  readonly minIndex: number;
  readonly exported: string;
  readonly vkey?: string;
}
