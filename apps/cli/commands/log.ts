import type { Command } from 'commander';
import type { OpenSession } from '../session.js';
import { table } from '../terminal.js';
import { wholeNumber } from './options.js';

/** For a tenant's admins and auditors: the log itself, not what is in it. */
export function logCommands(program: Command, open: OpenSession): void {
  const log = program.command('log').description("the tenant's log itself: its keys");
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
    .description("make the log's next key; both sign until the older one is retired and leaves the HSM (admins)")
    .option('--overlap-days <n>', 'so long both sign: time for everybody who pinned the older one', wholeNumber(1))
    .addHelpText(
      'after',
      `
Whoever pinned the older key needs nothing new: \`verify\`, \`witness\` and the mirror follow from it to the new one, which a record names.

Example:
  keyward log rotate-key --overlap-days 30 --credentials anna.json
`,
    )
    .action(async (options: { readonly overlapDays?: number }, command: Command) => {
      const session = open(command);
      const made = await session.admin.rotateLogKey(session.tenant, options);
      session.answer(made, made.vkey);
      session.say(`The older key signs as well until ${made.replacedAt}.`);
    });
}
