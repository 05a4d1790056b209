import type { Command } from 'commander';
import type { OpenSession } from '../session.js';
import { table } from '../terminal.js';
import { paged, type PageOptions } from './options.js';

/** For admins: the names that keys go by. */
export function aliasCommands(program: Command, open: OpenSession): void {
  const alias = program.command('alias').description('names of keys (admins)');
  alias
    .command('create <alias> <key>')
    .description('give a key another name, as alias/payroll')
    .action(async (name: string, keyId: string, _options: object, command: Command) => {
      const session = open(command);
      session.answer(await session.admin.createAlias(session.tenant, { alias: name, keyId }));
    });
  alias
    .command('move <alias> <key>')
    .description('give a name to another key: from its return on it means that one')
    .action(async (name: string, keyId: string, _options: object, command: Command) => {
      const session = open(command);
      session.answer(await session.admin.updateAlias(session.tenant, { alias: name, keyId }));
    });
  alias
    .command('delete <alias>')
    .description('take a name from its key')
    .action(async (name: string, _options: object, command: Command) => {
      const session = open(command);
      session.answer(await session.admin.deleteAlias(session.tenant, name));
    });
  paged(alias.command('list').description('all names').option('--key <key>', 'only those of this key')).action(
    async ({ key, ...page }: PageOptions & { key?: string }, command: Command) => {
      const session = open(command);
      const answer = await session.admin.listAliases(session.tenant, { ...page, ...(key !== undefined && { keyId: key }) });
      const rows = answer.items.map((item) => [item.alias, item.keyId]);
      session.answer(answer, table(['ALIAS', 'KEY'], rows));
    },
  );
}
