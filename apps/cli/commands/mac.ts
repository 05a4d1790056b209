import type { Command } from 'commander';
import type { OpenSession } from '../session.js';
import { bytesFrom } from '../terminal.js';
import { CommandEnded } from './command-ended.js';
import { ALLOWED, asking, type Asking, fromBase64 } from './options.js';
import { EXIT } from '../exit-codes.js';

interface MacOptions extends Asking {
  readonly key: string;
  readonly in: string;
}

/** For services: MACs, made and checked by the HSM itself. */
export function macCommands(program: Command, open: OpenSession): void {
  const mac = program.command('mac').description('message authentication codes (services)');
  const over = (command: Command) =>
    asking(command).requiredOption('--key <key>', 'key id or alias/name').option('--in <file>', 'read this file instead of stdin', '-');
  over(mac.command('generate').description('make the MAC of 1 to 4096 bytes of stdin; answers base64')).action(
    async ({ key: keyId, in: file, dryRun, justification }: MacOptions, command: Command) => {
      const session = open(command);
      const call = { tenant: session.tenant, keyId, message: await bytesFrom(session.terminal, file), justification };
      if (dryRun) return session.answer(await session.client().dryRun('generateMac', call), ALLOWED);
      const { mac: made, ...used } = await session.client().generateMac(call);
      const base64 = Buffer.from(made).toString('base64');
      session.answer({ mac: base64, ...used }, base64);
    },
  );
  over(mac.command('verify <mac>').description('is it the MAC, in base64, of stdin? ends with 6 if not'))
    .option('--key-version <version>', 'the version that made it; default: the primary one')
    .action(async (shown: string, options: MacOptions & { keyVersion?: string }, command: Command) => {
      const session = open(command);
      const { key: keyId, keyVersion: keyVersionId, justification } = options;
      const message = await bytesFrom(session.terminal, options.in);
      const call = { tenant: session.tenant, keyId, keyVersionId, message, mac: fromBase64(shown), justification };
      if (options.dryRun) return session.answer(await session.client().dryRun('verifyMac', call), ALLOWED);
      const answer = await session.client().verifyMac(call);
      session.answer(answer, answer.valid ? 'It is.' : 'It is not.');
      if (!answer.valid) throw new CommandEnded(EXIT.verification);
    });
}
