import type { Command } from 'commander';
import type { z } from 'zod';
import type { StopAnswer, stopTarget } from '#contract';
import type { OpenSession } from '../session.js';
import { printable, table } from '../terminal.js';
import { pair, paged, type PageOptions } from './options.js';

type StopTarget = z.input<typeof stopTarget>;

/** For admins. When a stop has returned, no replica accepts another operation that it covers. */
export function stopCommands(program: Command, open: OpenSession): void {
  const stop = program
    .command('stop')
    .description('stop uses of keys, from the return on (admins)')
    .addHelpText(
      'after',
      '\nExamples:\n  keyward stop everything --reason "incident 7"\n  keyward stop service billing\n  keyward stop context purpose=invoice\n',
    );
  const place = (command: Command, target: (argument: string) => StopTarget) =>
    command.option('--reason <text>', 'why, for the trail', '').action(async (...given: unknown[]) => {
      const self = given.at(-1) as Command;
      const session = open(self);
      const { reason } = self.opts<{ reason: string }>();
      const stopped = await session.admin.stop(session.tenant, { target: target(self.args[0] ?? ''), reason });
      session.answer(stopped, told(stopped));
    });
  place(stop.command('everything').description('every service, every key'), () => ({ scope: 'everything' }));
  place(stop.command('service <name>').description('one service, every key'), (service) => ({ scope: 'service', service }));
  place(stop.command('key <key>').description('one key, every service'), (keyId) => ({ scope: 'key', keyId }));
  place(stop.command('context <name=value>').description('every use with this pair in its context'), (text) => {
    const [name, value] = pair(text);
    return { scope: 'context', name, value };
  });

  program
    .command('receipt <stop>')
    .description('what a stop can promise; signed as soon as a checkpoint covers it (admins)')
    .action(async (id: string, _options: object, command: Command) => {
      const session = open(command);
      const stopped = await session.admin.getStop(session.tenant, id);
      session.answer(stopped, told(stopped));
    });

  program
    .command('lift <stop>')
    .description('end a stop (admins)')
    .action(async (id: string, _options: object, command: Command) => {
      const session = open(command);
      session.answer(await session.admin.lift(session.tenant, id));
    });

  paged(program.command('stops').description('all stops, lifted ones too (admins)')).action(
    async (options: PageOptions, command: Command) => {
      const session = open(command);
      const page = await session.admin.listStops(session.tenant, options);
      const rows = page.items.map((item) => [item.stopId, named(item.target), item.stoppedBy, item.stoppedAt, item.liftedAt, item.reason]);
      session.answer(page, table(['STOP', 'TARGET', 'BY', 'SINCE', 'LIFTED', 'REASON'], rows));
    },
  );
}

/** The receipt in plain words. */
function told({ stopId, target, stoppedAt, liftedAt, receipt }: StopAnswer): string {
  const lines = [
    `${stopId}: ${printable(named(target))} is stopped since ${stoppedAt}${liftedAt === undefined ? '' : `, lifted ${liftedAt}`}.`,
  ];
  if (receipt === undefined) return lines[0]!;
  const { seq, lastAllowed, answersUntil, leases, spareKeys, checkpoint } = receipt;
  lines.push(`Record ${seq} of your log: no record behind it is of a use that this covers, until it is lifted.`);
  lines.push(
    lastAllowed === undefined
      ? 'No use that it covers was allowed in the records before it.'
      : `The last use allowed before it is record ${lastAllowed.seq}, ${lastAllowed.recordedAt}.`,
  );
  lines.push(`Answers accepted before it may still arrive until ${answersUntil}.`);
  if (leases.until !== undefined)
    lines.push(
      `${leases.complete ? '' : 'At least '}${leases.count} data keys were handed out shortly before; SDKs may hold them until ${leases.until}.`,
    );
  if (spareKeys.length > 0) lines.push(`The same services may still use ${spareKeys.join(', ')}.`);
  lines.push(checkpoint === undefined ? 'Not signed yet: ask again with `keyward receipt`.' : `Signed:\n${checkpoint}`);
  return lines.join('\n');
}

function named(target: StopTarget): string {
  switch (target.scope) {
    case 'everything':
      return 'everything';
    case 'service':
      return `service ${target.service}`;
    case 'key':
      return target.keyId;
    case 'context':
      return `${target.name}=${target.value}`;
  }
}
