import type { Command } from 'commander';
import { type QuotaName, quotaName, type QuotasAnswer } from '#contract';
import { UsageError } from '../exit-codes.js';
import type { OpenSession } from '../session.js';
import { table } from '../terminal.js';

const AFTER_HELP = `
Examples:
  keyward quota list acme                                  as operator
  keyward quota set acme keys 500
  keyward quota set acme keys standard
  keyward quota list --credentials anna.json               as the tenant's admin: the own ones
`;

/** How much a tenant may have. */
export function quotaCommands(program: Command, open: OpenSession): void {
  const quota = program.command('quota').description('how much a tenant may have (operators; admins read their own)');
  quota.addHelpText('after', AFTER_HELP);
  quota
    .command('list [tenant]')
    .description('every quota with its limit, and how much is used')
    .action(async (name: string | undefined, _options: object, command: Command) => {
      const session = open(command);
      const quotas = await (name === undefined ? session.admin.describeQuotas(session.tenant) : session.admin.describeTenantQuotas(name));
      session.answer(quotas, shown(quotas));
    });
  quota
    .command('set <tenant> <quota> <limit>')
    .description("a number, or `standard`; what there is already stays. The tenant's log tells it")
    .action(async (tenant: string, name: string, limit: string, _options: object, command: Command) => {
      const session = open(command);
      session.answer(await session.admin.setQuota(tenant, quotaIn(name), { limit: limitIn(limit) }));
    });
}

const shown = ({ items }: QuotasAnswer): string =>
  table(
    ['QUOTA', 'USED', 'LIMIT', 'STANDARD', 'FROM', 'TO', 'OF'],
    items.map((item) => [
      item.quota,
      item.used === undefined ? '' : String(item.used),
      ...[item.limit, item.standard, item.least, item.most].map(String),
      item.unit,
    ]),
  );

function quotaIn(text: string): QuotaName {
  const { success, data, error } = quotaName.safeParse(text);
  if (!success) throw new UsageError(`The quota ${error.issues[0]?.message ?? 'is unknown'}.`);
  return data;
}

function limitIn(text: string): number | null {
  if (text === 'standard') return null;
  if (!/^[1-9]\d{0,9}$/.test(text)) throw new UsageError('The limit must be a whole number from 1 on, or `standard`.');
  return Number(text);
}
