import type { Command } from 'commander';
import { createReadStream, createWriteStream, existsSync, renameSync, rmSync, statSync } from 'node:fs';
import type { Duplex } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { Envelope } from '#sdk';
import { refuseExisting } from '../credentials-file.js';
import { UsageError } from '../exit-codes.js';
import type { OpenSession, Session } from '../session.js';
import { contextOption } from './options.js';

interface FileOptions {
  readonly context: Readonly<Record<string, string>>;
}

/** For services: files of any size, encrypted here with a data key that the tenant's key protects. */
export function fileCommands(program: Command, open: OpenSession): void {
  program
    .command('encrypt-file <from> <to>')
    .description('encrypt a file of any size with a data key of its own (envelope encryption)')
    .requiredOption('--key <key>', 'key id or alias/name')
    .addOption(contextOption())
    .addHelpText(
      'after',
      '\nExample:\n  keyward encrypt-file june.pdf june.pdf.kw --tenant acme --key alias/invoices --context purpose=invoice\n',
    )
    .action(async (from: string, to: string, { key, context }: FileOptions & { key: string }, command: Command) => {
      const session = open(command);
      await convert(session, from, to, (envelope) => envelope.encryptStream({ tenant: session.tenant, keyId: key, context }));
    });
  program
    .command('decrypt-file <from> <to>')
    .description('decrypt what encrypt-file made; the file appears only when all of it has been verified')
    .addOption(contextOption())
    .addHelpText('after', '\nExample:\n  keyward decrypt-file june.pdf.kw june.pdf --tenant acme --context purpose=invoice\n')
    .action(async (from: string, to: string, { context }: FileOptions, command: Command) => {
      const session = open(command);
      await convert(session, from, to, (envelope) => envelope.decryptStream({ tenant: session.tenant, expectedContext: context }));
    });
}

/** Written aside and renamed: plaintext whose end has not been verified must not lie where somebody takes it for whole. */
async function convert(session: Session, from: string, to: string, through: (envelope: Envelope) => Duplex): Promise<void> {
  if (!existsSync(from)) throw new UsageError(`${from} cannot be read.`);
  refuseExisting(to);
  const half = `${to}.half-${process.pid}`;
  const client = session.client();
  const envelope = new Envelope(client, { cache: false });
  try {
    await pipeline(createReadStream(from), through(envelope), createWriteStream(half, { mode: 0o600, flags: 'wx' }));
    renameSync(half, to);
  } finally {
    rmSync(half, { force: true });
    envelope.close();
    client.close();
  }
  session.answer({ from, to, bytesIn: statSync(from).size, bytesOut: statSync(to).size });
}
