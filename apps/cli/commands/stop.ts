import type { Command } from 'commander';
import type { z } from 'zod';
import type { stopTarget } from '#contract';
import type { OpenSession } from '../session.js';
import { table } from '../terminal.js';
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
      session.answer(await session.admin.stop(session.tenant, { target: target(self.args[0] ?? ''), reason }));
    });
  place(stop.command('everything').description('every service, every key'), () => ({ scope: 'everything' }));
  place(stop.command('service <name>').description('one service, every key'), (service) => ({ scope: 'service', service }));
  place(stop.command('key <key>').description('one key, every service'), (keyId) => ({ scope: 'key', keyId }));
  place(stop.command('context <name=value>').description('every use with this pair in its context'), (text) => {
    const [name, value] = pair(text);
    return { scope: 'context', name, value };
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
