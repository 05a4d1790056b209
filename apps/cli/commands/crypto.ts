import type { Command } from 'commander';
import type { OpenSession } from '../session.js';
import { bytesFrom } from '../terminal.js';
import { contextOption, fromBase64 } from './options.js';

interface CryptoOptions {
  readonly in: string;
  readonly key?: string;
  readonly context: Readonly<Record<string, string>>;
}

/** For services: small values, encrypted by the HSM itself. */
export function cryptoCommands(program: Command, open: OpenSession): void {
  program
    .command('encrypt')
    .description('encrypt 1 to 6144 bytes of stdin; answers base64')
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
        const { ciphertext, ...used } = await session
          .client()
          .encrypt({ tenant: session.tenant, keyId: options.key, plaintext, context: options.context });
        const base64 = Buffer.from(ciphertext).toString('base64');
        session.answer({ ciphertext: base64, ...used }, base64);
      } finally {
        plaintext.fill(0);
      }
    });

  program
    .command('decrypt')
    .description('decrypt base64 from stdin; answers the plaintext, byte for byte (with --json as base64)')
    .option('--key <key>', 'refuse unless this key made it')
    .addOption(contextOption())
    .option('--in <file>', 'read this file instead of stdin', '-')
    .addHelpText('after', '\nExample:\n  keyward decrypt --tenant acme --context purpose=invoice < iban.kw\n')
    .action(async (options: CryptoOptions, command: Command) => {
      const session = open(command);
      const ciphertext = fromBase64((await bytesFrom(session.terminal, options.in)).toString('utf8'));
      const call = { tenant: session.tenant, ciphertext, keyId: options.key, context: options.context };
      const { plaintext, ...used } = await session.client().decrypt(call);
      if (session.json) session.answer({ plaintext: Buffer.from(plaintext).toString('base64'), ...used });
      else session.terminal.out.write(plaintext);
    });
}
