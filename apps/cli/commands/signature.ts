import { type Command, Option } from 'commander';
import { SIGNING_ALGORITHMS, type SigningAlgorithm } from '#contract';
import { EXIT } from '../exit-codes.js';
import type { OpenSession, Session } from '../session.js';
import { bytesFrom } from '../terminal.js';
import { CommandEnded } from './command-ended.js';
import { ALLOWED, asking, type Asking, fromBase64 } from './options.js';

interface SigningOptions extends Asking {
  readonly key: string;
  readonly algorithm: SigningAlgorithm;
  readonly digest?: true;
  readonly in: string;
}

/** For services: signatures by key pairs whose private half never leaves the HSM. */
export function signatureCommands(program: Command, open: OpenSession): void {
  signing(program.command('sign').description('sign 1 to 6144 bytes of stdin; answers base64')).action(
    async (options: SigningOptions, command: Command) => {
      const session = open(command);
      const call = await callOf(session, options);
      if (options.dryRun) return session.answer(await session.client().dryRun('sign', call), ALLOWED);
      const { signature, ...used } = await session.client().sign(call);
      const base64 = Buffer.from(signature).toString('base64');
      session.answer({ signature: base64, ...used }, base64);
    },
  );
  signing(program.command('verify-signature <signature>').description('is it the signature, in base64, of stdin? ends with 6 if not'))
    .option('--key-version <version>', 'the version that signed; default: the primary one')
    .action(async (shown: string, options: SigningOptions & { keyVersion?: string }, command: Command) => {
      const session = open(command);
      const call = { ...(await callOf(session, options)), keyVersionId: options.keyVersion, signature: fromBase64(shown) };
      if (options.dryRun) return session.answer(await session.client().dryRun('verify', call), ALLOWED);
      const answer = await session.client().verify(call);
      session.answer(answer, answer.valid ? 'It is.' : 'It is not.');
      if (!answer.valid) throw new CommandEnded(EXIT.verification);
    });
  asking(program.command('public-key').description('the public key of a key pair, as PEM'))
    .requiredOption('--key <key>', 'key id or alias/name')
    .option('--key-version <version>', 'default: the primary one')
    .action(
      async (
        { key: keyId, keyVersion: keyVersionId, dryRun, justification }: Asking & { key: string; keyVersion?: string },
        command: Command,
      ) => {
        const session = open(command);
        const call = { tenant: session.tenant, keyId, keyVersionId, justification };
        if (dryRun) return session.answer(await session.client().dryRun('getPublicKey', call), ALLOWED);
        const { publicKey, ...used } = await session.client().getPublicKey(call);
        session.answer({ publicKey: Buffer.from(publicKey).toString('base64'), ...used }, used.pem.trimEnd());
      },
    );
}

const signing = (command: Command): Command =>
  asking(command)
    .requiredOption('--key <key>', 'key id or alias/name')
    .addOption(new Option('--algorithm <name>', 'of the key').choices(SIGNING_ALGORITHMS).makeOptionMandatory())
    .option('--digest', 'stdin is the digest, not the message')
    .option('--in <file>', 'read this file instead of stdin', '-');

async function callOf(session: Session, { key: keyId, algorithm, digest, justification, in: file }: SigningOptions) {
  const message = await bytesFrom(session.terminal, file);
  const messageType = digest === true ? ('DIGEST' as const) : undefined;
  return { tenant: session.tenant, keyId, algorithm, message, messageType, justification };
}
