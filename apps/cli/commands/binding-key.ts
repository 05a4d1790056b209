import type { Command } from 'commander';
import type { OpenSession } from '../session.js';

const AFTER_HELP = `
Every row that gives authority (rules, stops, names and versions of keys, credentials) carries a MAC by this key of the HSM. A rotation makes
the next one; the worker has every row bound by it, while both are known. Then the older one is retired, by a command of its own: copies of
the database from before the rotation are worth nothing after that, so keep it for as long as you may have to restore one.

Example:
  keyward binding-key rotate --credentials operator.json
  keyward binding-key describe --json        # until "rebound" is true
  keyward binding-key retire --yes
`;

/** For operators: the key of the HSM that binds every row which gives authority. */
export function bindingKeyCommands(program: Command, open: OpenSession): void {
  const key = program.command('binding-key').description('the key of the HSM that binds rules, credentials and keys (operators)');
  key
    .command('rotate')
    .description('make the next one, and have everything bound by it')
    .addHelpText('after', AFTER_HELP)
    .action(async (_options: object, command: Command) => {
      const session = open(command);
      session.answer(await session.admin.rotateBindingKey());
    });
  key
    .command('retire')
    .description('have the older one destroyed, once everything is bound by the newer one')
    .requiredOption('--yes', 'no database of before the rotation will be restored any more')
    .action(async (_options: object, command: Command) => {
      const session = open(command);
      session.answer(await session.admin.retireBindingKey());
    });
  key
    .command('describe')
    .description('which one it is, and how far its rotation is')
    .action(async (_options: object, command: Command) => {
      const session = open(command);
      session.answer(await session.admin.describeBindingKey());
    });
}
