import type { Command } from 'commander';
import { isOver, type LongOperation } from '#contract';
import { EXIT } from '../exit-codes.js';
import { bar, CLEAR, isTerminal } from '../progress.js';
import type { OpenSession, Session } from '../session.js';
import { printable, table } from '../terminal.js';
import { CommandEnded } from './command-ended.js';
import { paged, type PageOptions } from './options.js';

/** For admins: work that goes on after its call was answered. */
export function operationCommands(program: Command, open: OpenSession): void {
  const operation = program.command('operation').description('work that goes on after its call was answered: how far it is (admins)');
  paged(operation.command('list').description('all, the oldest first')).action(async (page: PageOptions, command: Command) => {
    const session = open(command);
    const answer = await session.admin.listOperations(session.tenant, page);
    const rows = answer.items.map((one) => [one.operationId, one.kind, one.keyId, one.service ?? one.mode, one.state, inWords(one)]);
    session.answer(answer, table(['OPERATION', 'KIND', 'KEY', 'SERVICE', 'STATE', 'PROGRESS'], rows));
  });
  operation
    .command('show <operation>')
    .description('how far one is')
    .action(async (id: string, _options: object, command: Command) => {
      const session = open(command);
      session.answer(await session.admin.describeOperation(session.tenant, id));
    });
  operation
    .command('watch <operation>')
    .description('tell how far it is until it is over; a bar on a terminal')
    .addHelpText('after', '\nExit code 0: it succeeded. 4: it failed or was cancelled.\n')
    .action(async (id: string, _options: object, command: Command) => await watched(open(command), id));
  operation
    .command('certificate <operation>')
    .description('the signed statement that it is over, and how it ended')
    .addHelpText('after', '\nExample:\n  keyward operation certificate op_… > certificate && keyward verify-certificate certificate\n')
    .action(async (id: string, _options: object, command: Command) => {
      const session = open(command);
      const answer = await session.admin.completionCertificate(session.tenant, id);
      session.answer(answer, answer.certificate.trimEnd());
    });
  operation
    .command('cancel <operation>')
    .description('end it where it is; what was moved stays moved')
    .action(async (id: string, _options: object, command: Command) => {
      const session = open(command);
      session.answer(await session.admin.cancelOperation(session.tenant, id));
    });
}

/** Follows it to its end, and answers that. @throws CommandEnded unless it succeeded */
export async function watched(session: Session, operationId: string): Promise<void> {
  const { talk } = session.terminal;
  const onTerminal = isTerminal(talk);
  for await (const operation of session.admin.watchOperation(session.tenant, operationId)) {
    if (onTerminal) talk.write(`${CLEAR}${inWords(operation)}`);
    if (!isOver(operation.state)) continue;
    if (onTerminal) talk.write(CLEAR);
    session.answer(operation);
    if (operation.state !== 'succeeded') throw new CommandEnded(EXIT.conflict);
  }
}

/** `[######      ]  25 %  5,000 of 20,000, 2 failed, 1,234/s, 12 s left` */
export function inWords({ state, reason, progress }: LongOperation): string {
  const { population, done, failed, perSecond, etaSeconds } = progress;
  const settled = done + failed;
  return [
    population === undefined ? '' : bar(population === 0 ? 1 : Math.min(1, settled / population)),
    population === undefined ? `${settled}` : `${settled} of ${population}`,
    failed === 0 ? '' : `, ${failed} failed`,
    isOver(state) ? '' : `, ${perSecond}/s`,
    etaSeconds === undefined || isOver(state) ? '' : `, ${etaSeconds} s left`,
    state === 'suspended' ? `; suspended: ${printable(reason ?? '')}` : '',
  ].join('');
}
