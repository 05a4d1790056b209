import type { Command } from 'commander';
import type { OpenSession } from '../session.js';
import { table } from '../terminal.js';
import { paged, type PageOptions } from './options.js';

/** For operators: the ISV's customers. */
export function tenantCommands(program: Command, open: OpenSession): void {
  const tenant = program.command('tenant').description('onboard and list tenants (operators)');
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
