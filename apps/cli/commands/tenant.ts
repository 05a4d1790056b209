import type { Command } from 'commander';
import type { OpenSession } from '../session.js';
import { table } from '../terminal.js';
import { offBoardingCommands } from './off-boarding.js';
import { paged, type PageOptions } from './options.js';

/** For operators: the ISV's customers. */
export function tenantCommands(program: Command, open: OpenSession): void {
  const tenant = program.command('tenant').description('customers: onboard, suspend, off-board (operators); leave (admins)');
  tenant
    .command('onboard <tenant>')
    .description('make a tenant; answers the one-use enrolment code, shown this once')
    .requiredOption('--name <text>', 'display name')
    .addHelpText('after', "\nExample:\n  keyward tenant onboard acme --name 'Acme Ltd' --json | jq -r .enrolmentCode > code\n")
    .action(async (name: string, options: { name: string }, command: Command) => {
      const session = open(command);
      session.answer(await session.admin.onboardTenant({ tenant: name, displayName: options.name }));
      session.say('Give the code to the admin over a channel that you trust, and the vkey to the auditor: it verifies the log.');
    });
  tenant
    .command('suspend <tenant>')
    .description('let no service use its keys, from the return on; its own people are not affected')
    .option('--reason <text>', 'why, for the trail', '')
    .action(async (name: string, { reason }: { reason: string }, command: Command) => {
      const session = open(command);
      session.answer(await session.admin.suspendTenant(name, { reason }));
    });
  tenant
    .command('resume <tenant>')
    .description('end its suspension')
    .action(async (name: string, _options: object, command: Command) => {
      const session = open(command);
      session.answer(await session.admin.resumeTenant(name));
    });
  paged(tenant.command('suspensions').description('all suspended tenants')).action(async (options: PageOptions, command: Command) => {
    const session = open(command);
    const page = await session.admin.listSuspensions(options);
    const rows = page.items.map((item) => [item.tenant, item.suspendedBy, item.suspendedAt, item.reason]);
    session.answer(page, table(['TENANT', 'BY', 'SINCE', 'REASON'], rows));
  });
  offBoardingCommands(tenant, open);
  paged(tenant.command('list').description('all tenants')).action(async (options: PageOptions, command: Command) => {
    const session = open(command);
    const page = await session.admin.listTenants(options);
    session.answer(
      page,
      table(
        ['TENANT', 'STATE', 'CREATED', 'NAME'],
        page.items.map(({ tenant, state, createdAt, displayName }) => [tenant, state, createdAt, displayName]),
      ),
    );
  });
}
