import type { Command } from 'commander';
import type { OpenSession } from '../session.js';

const AFTER_HELP = `
The keys of the tenant are wrapped anew inside the HSM, one by one, while they go on being used; then the old root is destroyed, and with it
whatever copies of older rows are good for. Backups of the database from before open nothing after that: make a new one.

Example:
  keyward root rotate --credentials anna.json; keyward root describe --credentials anna.json
`;

/** For admins: the key in the HSM that wraps all keys of their tenant. */
export function rootCommands(program: Command, open: OpenSession): void {
  const root = program.command('root').description("the root in the HSM that wraps a tenant's keys (admins)");
  root
    .command('rotate')
    .description('replace it: makes earlier destructions of keys final')
    .addHelpText('after', AFTER_HELP)
    .action(async (_options: object, command: Command) => {
      const session = open(command);
      session.answer(await session.admin.rotateRoot(session.tenant));
    });
  root
    .command('describe')
    .description('which one it is, and how far its rotation is')
    .action(async (_options: object, command: Command) => {
      const session = open(command);
      session.answer(await session.admin.describeRoot(session.tenant));
    });
}
