import type { Command } from 'commander';
import type { OpenSession } from '../session.js';
import { table } from '../terminal.js';
import { paged, type PageOptions } from './options.js';

/** For operators: the ISV's backends. A service may do nothing until a tenant grants it something. */
export function serviceCommands(program: Command, open: OpenSession): void {
  const service = program.command('service').description("register and list the ISV's services (operators)");
  service
    .command('register <service>')
    .description('make a service known, so that tenants can grant it something')
    .option('--description <text>', 'what it is for', '')
    .addHelpText('after', "\nExample:\n  keyward service register billing --description 'writes invoices'\n")
    .action(async (name: string, { description }: { description: string }, command: Command) => {
      const session = open(command);
      session.answer(await session.admin.registerService({ service: name, description }));
    });
  paged(service.command('list').description('all services')).action(async (options: PageOptions, command: Command) => {
    const session = open(command);
    const page = await session.admin.listServices(options);
    session.answer(
      page,
      table(
        ['SERVICE', 'CREATED', 'DESCRIPTION'],
        page.items.map(({ service, createdAt, description }) => [service, createdAt, description]),
      ),
    );
  });
}
