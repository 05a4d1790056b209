import type { Command } from 'commander';
import type { OpenSession } from '../session.js';
import { table } from '../terminal.js';
import { paged, type PageOptions } from './options.js';

/** For admins: their tenant's master keys and the names they go by. */
export function keyCommands(program: Command, open: OpenSession): void {
  const key = program.command('key').description("a tenant's master keys (admins)");
  key
    .command('create')
    .description('make a key inside the HSM')
    .option('--alias <alias>', 'a first name for it, as alias/invoices')
    .option('--description <text>', 'what it is for', '')
    .addHelpText('after', '\nExample:\n  keyward key create --alias alias/invoices\n')
    .action(async ({ alias, description }: { alias?: string; description: string }, command: Command) => {
      const session = open(command);
      session.answer(await session.admin.createKey(session.tenant, { description, ...(alias !== undefined && { alias }) }));
    });
  paged(key.command('list').description('all keys')).action(async (options: PageOptions, command: Command) => {
    const session = open(command);
    const page = await session.admin.listKeys(session.tenant, options);
    const rows = page.items.map((item) => [item.keyId, item.state, item.protectionLevel, item.aliases.join(' '), item.description]);
    session.answer(page, table(['KEY', 'STATE', 'PROTECTION', 'ALIASES', 'DESCRIPTION'], rows));
  });
  const one = (name: 'describe' | 'enable' | 'disable', description: string, method: 'describeKey' | 'enableKey' | 'disableKey') =>
    key
      .command(`${name} <key>`)
      .description(description)
      .action(async (keyId: string, _options: object, command: Command) => {
        const session = open(command);
        session.answer(await session.admin[method](session.tenant, keyId));
      });
  one('describe', 'everything about one key but itself', 'describeKey');
  one('enable', 'let a disabled key be used again', 'enableKey');
  one('disable', 'from its return on no replica uses the key', 'disableKey');

  const alias = program.command('alias').description('names of keys (admins)');
  alias
    .command('create <alias> <key>')
    .description('give a key another name, as alias/payroll')
    .action(async (name: string, keyId: string, _options: object, command: Command) => {
      const session = open(command);
      session.answer(await session.admin.createAlias(session.tenant, { alias: name, keyId }));
    });
}
