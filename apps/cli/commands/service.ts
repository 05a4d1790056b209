import type { Command } from 'commander';
import { type CatalogueEntryRequest, catalogueEntryRequest, DATA_OPERATIONS } from '#contract';
import { UsageError } from '../exit-codes.js';
import type { OpenSession } from '../session.js';
import { table } from '../terminal.js';
import { listed, paged, type PageOptions } from './options.js';

/** For operators: the ISV's backends. A service may do nothing until a tenant grants it something. */
export function serviceCommands(program: Command, open: OpenSession): void {
  const service = program.command('service').description("register and list the ISV's services (operators)");
  service
    .command('register <service>')
    .description('make a service known, so that tenants can grant it something')
    .option('--description <text>', 'what it is for', '')
    .option('--operations <list>', 'what it may ask for at most, by commas (default: everything)', listed)
    .addHelpText('after', "\nExample:\n  keyward service register billing --description 'writes invoices'\n")
    .action(async (name: string, options: { description: string; operations?: string[] }, command: Command) => {
      const session = open(command);
      const { description, operations } = options;
      const catalogued = operations === undefined ? {} : operationsIn(operations);
      session.answer(await session.admin.registerService({ service: name, description, ...catalogued }));
    });
  service
    .command('catalogue <service> [operations]')
    .description('say what a service may ask for at most, by commas; a tenant must grant it too. Nothing given: nothing allowed')
    .addHelpText('after', '\nExample:\n  keyward service catalogue billing Encrypt,GenerateDataKey\n')
    .action(async (name: string, operations: string | undefined, _options: object, command: Command) => {
      const session = open(command);
      session.answer(await session.admin.putCatalogueEntry(name, operationsIn(listed(operations ?? ''))));
    });
  service
    .command('suspend <service>')
    .description('let it use no key of any tenant, from the return on')
    .option('--reason <text>', 'why, for the trail', '')
    .action(async (name: string, { reason }: { reason: string }, command: Command) => {
      const session = open(command);
      session.answer(await session.admin.suspendService(name, { reason }));
    });
  service
    .command('resume <service>')
    .description('end its suspension')
    .action(async (name: string, _options: object, command: Command) => {
      const session = open(command);
      session.answer(await session.admin.resumeService(name));
    });
  paged(service.command('list').description('all services')).action(async (options: PageOptions, command: Command) => {
    const session = open(command);
    const page = await session.admin.listServices(options);
    session.answer(
      page,
      table(
        ['SERVICE', 'SUSPENDED', 'CREATED', 'OPERATIONS', 'DESCRIPTION'],
        page.items.map((item) => [
          item.service,
          item.suspended ? 'yes' : 'no',
          item.createdAt,
          item.operations.join(','),
          item.description,
        ]),
      ),
    );
  });
}

/** @throws UsageError naming what there is */
function operationsIn(operations: readonly string[]): CatalogueEntryRequest {
  const checked = catalogueEntryRequest.safeParse({ operations });
  if (!checked.success) throw new UsageError(`Operations are ${DATA_OPERATIONS.join(', ')}, each once.`);
  return checked.data;
}
