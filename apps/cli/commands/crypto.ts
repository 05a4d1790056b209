import type { Command } from 'commander';
import type { OpenScope, SealScope } from '#sdk';
import { convert, type Way } from '../convert.js';
import { UsageError } from '../exit-codes.js';
import type { OpenSession, Session } from '../session.js';
import { bytesFrom } from '../terminal.js';
import { ALLOWED, asking, type Asking, contextOption, fromBase64 } from './options.js';

interface SmallInput extends Asking {
  readonly in: string;
}
interface EncryptOptions extends SmallInput {
  readonly key: string;
  readonly spareKey?: string;
  readonly signed?: boolean;
  readonly context: SealScope['context'];
}
interface DecryptOptions extends SmallInput {
  readonly key?: string;
  readonly signed?: boolean;
  readonly context: OpenScope['expectedContext'];
}
interface MoveOptions extends SmallInput {
  readonly toKey: string;
  readonly fromKey?: string;
  readonly signed?: boolean;
  readonly fromContext: SealScope['context'];
  readonly toContext: SealScope['context'];
}

const FROM = ['[from]', 'a file of any size, or - for stdin'] as const;
const TO = ['[to]', 'the file to write, whole or not at all; or - for stdout'] as const;

/** For services: small values, encrypted by the HSM itself; with FROM and TO anything of any size, under a data key of its own. */
export function cryptoCommands(program: Command, open: OpenSession): void {
  crypting(program, 'encrypt', 'encrypt FROM to TO, of any size; without them 1 to 6144 bytes of stdin by the HSM itself, to base64')
    .requiredOption('--key <key>', 'key id or alias/name')
    .option('--spare-key <key>', 'with FROM and TO: a second key that opens it, should the first be gone')
    .option('--signed', 'with FROM and TO: signed, so that whoever may only decrypt cannot make one')
    .addOption(contextOption())
    .addHelpText(
      'after',
      `
Examples:
  keyward encrypt june.pdf june.pdf.kw --tenant acme --key alias/invoices --context purpose=invoice
  pg_dump acme | keyward encrypt - acme.sql.kw --tenant acme --key alias/backups
  printf %s "$IBAN" | keyward encrypt --tenant acme --key alias/invoices --context purpose=invoice > iban.kw
`,
    )
    .action(async (from: string | undefined, to: string | undefined, options: EncryptOptions, command: Command) => {
      const session = open(command);
      const { key: keyId, spareKey: spareKeyId, signed, context, justification } = options;
      const scope = { tenant: session.tenant, keyId, context, justification };
      const way = wayOf(from, to, options);
      if (way !== undefined) return await convert(session, way, (envelope) => [envelope.encryptStream({ ...scope, spareKeyId, signed })]);
      if (spareKeyId !== undefined) throw new UsageError('--spare-key is for FROM and TO.');
      if (signed) throw new UsageError('--signed is for FROM and TO.');
      await encryptSmall(session, scope, options);
    });

  crypting(program, 'decrypt', 'decrypt FROM to TO; without them base64 of stdin to the plaintext, byte for byte (with --json as base64)')
    .option('--key <key>', 'without FROM and TO: refuse unless this key made it')
    .option('--signed', 'with FROM and TO: refuse what is not signed')
    .addOption(contextOption())
    .addHelpText(
      'after',
      `
A file appears only when all of it was verified. On stdout plaintext comes frame by frame, each verified:
only exit code 0 says that it was all.

Examples:
  keyward decrypt june.pdf.kw june.pdf --tenant acme --context purpose=invoice
  keyward decrypt --tenant acme --context purpose=invoice < iban.kw
`,
    )
    .action(async (from: string | undefined, to: string | undefined, options: DecryptOptions, command: Command) => {
      const session = open(command);
      const { key: keyId, signed, context, justification } = options;
      const way = wayOf(from, to, options);
      if (way === undefined && signed) throw new UsageError('--signed is for FROM and TO.');
      if (way === undefined) return await decryptSmall(session, options);
      if (keyId !== undefined) throw new UsageError('--key is for base64 of stdin.');
      const scope = { tenant: session.tenant, expectedContext: context, justification, signed };
      await convert(session, way, (envelope) => [envelope.decryptStream(scope)]);
    });

  crypting(
    program,
    're-encrypt',
    'move FROM to TO under another key or context; without them base64 of stdin, whose plaintext stays with Keyward',
  )
    .requiredOption('--to-key <key>', 'the key to move to: id or alias/name')
    .option('--from-key <key>', 'without FROM and TO: refuse unless this key made it')
    .option('--signed', 'with FROM and TO: sign what is written')
    .addOption(contextOption('from-context'))
    .addOption(contextOption('to-context'))
    .addHelpText(
      'after',
      `
A file is decrypted and encrypted anew, here, in one stream that never touches the disk: its format allows no other
key for the same body. Values and the ciphertexts of data keys are moved inside Keyward.

Examples:
  keyward re-encrypt june.pdf.kw june.archive.kw --tenant acme --to-key alias/archive --from-context purpose=invoice --to-context purpose=archive
  keyward re-encrypt --tenant acme --to-key alias/archive --from-context purpose=invoice < iban.kw
`,
    )
    .action(async (from: string | undefined, to: string | undefined, options: MoveOptions, command: Command) => {
      const session = open(command);
      const { tenant } = session;
      const { toKey, fromKey, signed, fromContext, toContext, justification } = options;
      const way = wayOf(from, to, options);
      if (way === undefined && signed) throw new UsageError('--signed is for FROM and TO.');
      if (way === undefined) return await moveSmall(session, options);
      if (fromKey !== undefined) throw new UsageError('--from-key is for base64 of stdin.');
      await convert(session, way, (envelope) => [
        envelope.decryptStream({ tenant, expectedContext: fromContext, justification }),
        envelope.encryptStream({ tenant, keyId: toKey, context: toContext, justification, signed }),
      ]);
    });
}

const crypting = (program: Command, name: string, does: string): Command =>
  asking(
    program
      .command(name)
      .description(does)
      .argument(...FROM)
      .argument(...TO),
  ).option('--in <file>', 'without FROM and TO: read this file instead of stdin', '-');

/** Undefined: a small value. @throws UsageError */
function wayOf(from: string | undefined, to: string | undefined, { dryRun, in: file }: SmallInput): Way | undefined {
  if (from === undefined) return undefined;
  if (to === undefined) throw new UsageError(`Where to? Name a file after ${from}, or - for stdout.`);
  if (dryRun || file !== '-')
    throw new UsageError('--dry-run and --in are for small values, without FROM and TO; see also: keyward doctor');
  return { from, to };
}

async function encryptSmall(session: Session, scope: SealScope, { in: file, dryRun }: SmallInput): Promise<void> {
  const plaintext = await bytesFrom(session.terminal, file);
  try {
    const call = { ...scope, plaintext };
    if (dryRun) return session.answer(await session.client().dryRun('encrypt', call), ALLOWED);
    const { ciphertext, ...used } = await session.client().encrypt(call);
    const base64 = Buffer.from(ciphertext).toString('base64');
    session.answer({ ciphertext: base64, ...used }, base64);
  } finally {
    plaintext.fill(0);
  }
}

async function decryptSmall(session: Session, { in: file, key: keyId, context, justification, dryRun }: DecryptOptions): Promise<void> {
  const ciphertext = fromBase64((await bytesFrom(session.terminal, file)).toString('utf8'));
  const call = { tenant: session.tenant, ciphertext, keyId, context, justification };
  if (dryRun) return session.answer(await session.client().dryRun('decrypt', call), ALLOWED);
  const { plaintext, ...used } = await session.client().decrypt(call);
  if (session.json) session.answer({ plaintext: Buffer.from(plaintext).toString('base64'), ...used });
  else session.terminal.out.write(plaintext);
}

async function moveSmall(session: Session, { in: file, toKey, fromKey, dryRun, ...options }: MoveOptions): Promise<void> {
  const ciphertext = fromBase64((await bytesFrom(session.terminal, file)).toString('utf8'));
  const contexts = { sourceContext: options.fromContext, destinationContext: options.toContext };
  const keys = { sourceKeyId: fromKey, destinationKeyId: toKey };
  const call = { tenant: session.tenant, ciphertext, ...keys, ...contexts, justification: options.justification };
  if (dryRun) return session.answer(await session.client().dryRun('reEncrypt', call), ALLOWED);
  const { ciphertext: moved, ...used } = await session.client().reEncrypt(call);
  const base64 = Buffer.from(moved).toString('base64');
  session.answer({ ciphertext: base64, ...used }, base64);
}
