import type { Command } from 'commander';
import type { OpenSession } from '../session.js';
import { bytesFrom } from '../terminal.js';
import { asking, type Asking, contextOption, fromBase64 } from './options.js';

interface CryptoOptions extends Asking {
  readonly in: string;
  readonly key?: string;
  readonly context: Readonly<Record<string, string>>;
}

interface MoveOptions extends Asking {
  readonly in: string;
  readonly toKey: string;
  readonly fromKey?: string;
  readonly fromContext: Readonly<Record<string, string>>;
  readonly toContext: Readonly<Record<string, string>>;
}

const ALLOWED = 'It would be allowed.';

/** For services: small values, encrypted by the HSM itself. */
export function cryptoCommands(program: Command, open: OpenSession): void {
  asking(program.command('encrypt').description('encrypt 1 to 6144 bytes of stdin; answers base64'))
    .requiredOption('--key <key>', 'key id or alias/name')
    .addOption(contextOption())
    .option('--in <file>', 'read this file instead of stdin', '-')
    .addHelpText(
      'after',
      '\nExample:\n  printf %s "$IBAN" | keyward encrypt --tenant acme --key alias/invoices --context purpose=invoice > iban.kw\n',
    )
    .action(async (options: CryptoOptions & { key: string }, command: Command) => {
      const session = open(command);
      const plaintext = await bytesFrom(session.terminal, options.in);
      try {
        const { key: keyId, context, justification } = options;
        const call = { tenant: session.tenant, keyId, plaintext, context, justification };
        if (options.dryRun) return session.answer(await session.client().dryRun('encrypt', call), ALLOWED);
        const { ciphertext, ...used } = await session.client().encrypt(call);
        const base64 = Buffer.from(ciphertext).toString('base64');
        session.answer({ ciphertext: base64, ...used }, base64);
      } finally {
        plaintext.fill(0);
      }
    });

  asking(program.command('decrypt').description('decrypt base64 from stdin; answers the plaintext, byte for byte (with --json as base64)'))
    .option('--key <key>', 'refuse unless this key made it')
    .addOption(contextOption())
    .option('--in <file>', 'read this file instead of stdin', '-')
    .addHelpText('after', '\nExample:\n  keyward decrypt --tenant acme --context purpose=invoice < iban.kw\n')
    .action(async (options: CryptoOptions, command: Command) => {
      const session = open(command);
      const ciphertext = fromBase64((await bytesFrom(session.terminal, options.in)).toString('utf8'));
      const { key: keyId, context, justification } = options;
      const call = { tenant: session.tenant, ciphertext, keyId, context, justification };
      if (options.dryRun) return session.answer(await session.client().dryRun('decrypt', call), ALLOWED);
      const { plaintext, ...used } = await session.client().decrypt(call);
      if (session.json) session.answer({ plaintext: Buffer.from(plaintext).toString('base64'), ...used });
      else session.terminal.out.write(plaintext);
    });

  asking(program.command('re-encrypt').description('move base64 from stdin to another key or context; answers base64'))
    .requiredOption('--to-key <key>', 'the key to move to: id or alias/name')
    .option('--from-key <key>', 'refuse unless this key made it')
    .addOption(contextOption('from-context'))
    .addOption(contextOption('to-context'))
    .option('--in <file>', 'read this file instead of stdin', '-')
    .addHelpText(
      'after',
      '\nExample:\n  keyward re-encrypt --tenant acme --to-key alias/archive --from-context purpose=invoice < iban.kw\n',
    )
    .action(async (options: MoveOptions, command: Command) => {
      const session = open(command);
      const ciphertext = fromBase64((await bytesFrom(session.terminal, options.in)).toString('utf8'));
      const { toKey: destinationKeyId, fromKey: sourceKeyId, toContext, fromContext, justification } = options;
      const contexts = { sourceContext: fromContext, destinationContext: toContext };
      const call = { tenant: session.tenant, ciphertext, sourceKeyId, destinationKeyId, ...contexts, justification };
      if (options.dryRun) return session.answer(await session.client().dryRun('reEncrypt', call), ALLOWED);
      const { ciphertext: moved, ...used } = await session.client().reEncrypt(call);
      const base64 = Buffer.from(moved).toString('base64');
      session.answer({ ciphertext: base64, ...used }, base64);
    });
}
