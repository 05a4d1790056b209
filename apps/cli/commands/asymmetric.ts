import { type Command, Option } from 'commander';
import { ENCRYPTION_ALGORITHMS, type EncryptionAlgorithm } from '#contract';
import type { OpenSession } from '../session.js';
import { bytesFrom } from '../terminal.js';
import { ALLOWED, asking, type Asking, fromBase64, wholeNumber } from './options.js';

interface OaepOptions extends Asking {
  readonly key: string;
  readonly keyVersion: string;
  readonly algorithm: EncryptionAlgorithm;
  readonly in: string;
}

/** For services: RSA keys of usage ENCRYPT_DECRYPT, and bytes of the HSM's generator. */
export function asymmetricCommands(program: Command, open: OpenSession): void {
  oaep(program.command('asymmetric-encrypt').description('encrypt a few bytes of stdin to an RSA key; answers base64'))
    .option('--key-version <version>', 'default: the primary one')
    .action(async (options: Omit<OaepOptions, 'keyVersion'> & { keyVersion?: string }, command: Command) => {
      const session = open(command);
      const { key: keyId, keyVersion: keyVersionId, algorithm, justification } = options;
      const plaintext = await bytesFrom(session.terminal, options.in);
      try {
        const call = { tenant: session.tenant, keyId, keyVersionId, algorithm, plaintext, justification };
        if (options.dryRun) return session.answer(await session.client().dryRun('asymmetricEncrypt', call), ALLOWED);
        const { ciphertext, ...used } = await session.client().asymmetricEncrypt(call);
        const base64 = Buffer.from(ciphertext).toString('base64');
        session.answer({ ciphertext: base64, ...used }, base64);
      } finally {
        plaintext.fill(0);
      }
    });
  oaep(
    program
      .command('asymmetric-decrypt')
      .description('decrypt base64 from stdin; answers the plaintext, byte for byte (with --json as base64)'),
  )
    .requiredOption('--key-version <version>', 'to which it was encrypted')
    .action(async (options: OaepOptions, command: Command) => {
      const session = open(command);
      const { key: keyId, keyVersion: keyVersionId, algorithm, justification } = options;
      const ciphertext = fromBase64((await bytesFrom(session.terminal, options.in)).toString('utf8'));
      const call = { tenant: session.tenant, keyId, keyVersionId, algorithm, ciphertext, justification };
      if (options.dryRun) return session.answer(await session.client().dryRun('asymmetricDecrypt', call), ALLOWED);
      const { plaintext, ...used } = await session.client().asymmetricDecrypt(call);
      if (session.json) session.answer({ plaintext: Buffer.from(plaintext).toString('base64'), ...used });
      else session.terminal.out.write(plaintext);
    });
  asking(program.command('random').description("1 to 1024 bytes of the HSM's generator, as they are (with --json as base64)"))
    .option('--bytes <n>', 'how many', wholeNumber(1), 32)
    .addHelpText('after', '\nExample:\n  keyward random --tenant acme --bytes 32 > seed.bin\n')
    .action(async ({ bytes: numberOfBytes, justification, dryRun }: Asking & { bytes: number }, command: Command) => {
      const session = open(command);
      const call = { tenant: session.tenant, numberOfBytes, justification };
      if (dryRun) return session.answer(await session.client().mayGenerateRandom(call), ALLOWED);
      const { plaintext, ...told } = await session.client().generateRandom(call);
      if (session.json) session.answer({ plaintext: Buffer.from(plaintext).toString('base64'), ...told });
      else session.terminal.out.write(plaintext);
    });
}

const oaep = (command: Command): Command =>
  asking(command)
    .requiredOption('--key <key>', 'key id or alias/name')
    .addOption(new Option('--algorithm <name>', 'the padding').choices(ENCRYPTION_ALGORITHMS).makeOptionMandatory())
    .option('--in <file>', 'read this file instead of stdin', '-');
