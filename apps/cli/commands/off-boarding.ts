import type { Command } from 'commander';
import type { OpenSession } from '../session.js';
import { table } from '../terminal.js';
import { paged, type PageOptions, wholeNumber } from './options.js';

interface OffBoardOptions {
  readonly days?: number;
  readonly reason: string;
}

/** Of `keyward tenant`: how one leaves. */
export function offBoardingCommands(tenant: Command, open: OpenSession): void {
  tenant
    .command('off-board <tenant>')
    .description('begin to end a tenant whose admin agreed, or that is suspended: after the wait all of it is destroyed but its log')
    .option('--days <n>', 'how long it waits and can be cancelled, 7 to 30 (default: 30)', wholeNumber(7))
    .option('--reason <text>', "why: the platform's trail keeps it, and the tenant's admins read it", '')
    .addHelpText('after', '\nExample:\n  keyward tenant off-board acme --days 14 --reason "contract over"\n')
    .action(async (name: string, { days, reason }: OffBoardOptions, command: Command) => {
      const session = open(command);
      session.answer(await session.admin.offBoardTenant(name, { ...(days !== undefined && { days }), reason }));
      session.say("The tenant's own log tells it, and so do its sinks.");
    });
  tenant
    .command('cancel-off-boarding <tenant>')
    .description('while it waits: all goes on as before')
    .action(async (name: string, _options: object, command: Command) => {
      const session = open(command);
      session.answer(await session.admin.cancelOffBoarding(name));
    });
  paged(tenant.command('off-boardings').description('tenants that leave, or have left')).action(
    async (options: PageOptions, command: Command) => {
      const session = open(command);
      const page = await session.admin.listOffBoardings(options);
      const rows = page.items.map((item) => [item.tenant, item.state, item.basis, item.endsAt, item.endedAt, item.reason]);
      session.answer(page, table(['TENANT', 'STATE', 'BASIS', 'ENDS', 'ENDED', 'REASON'], rows));
    },
  );
  tenant
    .command('leave')
    .description("as the tenant's admin: agree that the operator ends it; nothing happens before that")
    .requiredOption('--confirm <tenant>', 'the own name: every key and secret of it will be destroyed')
    .action(async ({ confirm }: { confirm: string }, command: Command) => {
      const session = open(command);
      session.answer(await session.admin.agreeToOffBoarding(session.tenant, { confirm }));
    });
  tenant
    .command('stay')
    .description("as the tenant's admin: take that back, also while it waits")
    .action(async (_options: object, command: Command) => {
      const session = open(command);
      session.answer(await session.admin.withdrawFromOffBoarding(session.tenant));
    });
  tenant
    .command('leaving')
    .description("as the tenant's admin: how far it is")
    .action(async (_options: object, command: Command) => {
      const session = open(command);
      session.answer(await session.admin.describeOffBoarding(session.tenant));
    });
}
