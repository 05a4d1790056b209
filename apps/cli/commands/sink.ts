import { type Command, Option } from 'commander';
import { setTimeout as sleep } from 'node:timers/promises';
import type { z } from 'zod';
import { type createSinkRequest, RECORD_FORMATS, type RecordFormat, type SinkAnswer } from '#contract';
import { EXIT } from '../exit-codes.js';
import type { OpenSession, Session } from '../session.js';
import { fileBytes, table } from '../terminal.js';
import { CommandEnded } from './command-ended.js';
import { paged, type PageOptions, wholeNumber } from './options.js';

type Target = z.input<typeof createSinkRequest>['target'];

/** A test waits for the worker this long, and asks as often. */
const TEST_PATIENCE_MS = 60_000;
const TEST_EVERY_MS = 500;

/** For admins: where records go besides the log. */
export function sinkCommands(program: Command, open: OpenSession): void {
  const sinks = program.command('sink').description("deliver the tenant's records elsewhere (admins)");
  creating(sinks, open);
  paged(sinks.command('list').description('sinks, how far each has come, and what hinders it')).action(
    async (options: PageOptions, command: Command) => {
      const session = open(command);
      const page = await session.admin.listSinks(session.tenant, options);
      const rows = page.items.map(({ sinkId, target, state, delivery }) => [
        ...[sinkId, placeOf(target), state, delivery.nextSeq, delivery.pending, delivery.lastError],
      ]);
      session.answer(page, table(['SINK', 'WHERE', 'STATE', 'NEXT', 'PENDING', 'LAST ERROR'], rows));
    },
  );
  one(sinks, open, 'show', 'one of them', (session, id) => session.admin.describeSink(session.tenant, id));
  one(sinks, open, 'pause', 'deliver nothing until it is resumed; nothing is lost meanwhile', (session, id) =>
    session.admin.updateSink(session.tenant, id, { state: 'Paused' }),
  );
  one(sinks, open, 'resume', 'go on at once, also where a sink was disabled', (session, id) =>
    session.admin.updateSink(session.tenant, id, { state: 'Active' }),
  );
  sinks
    .command('deliver-from <sink> <seq>')
    .description('deliver from this record on, again if need be')
    .action(async (id: string, seq: string, _options: object, command: Command) => {
      const session = open(command);
      session.answer(await session.admin.updateSink(session.tenant, id, { nextSeq: wholeNumber(0)(seq) }));
    });
  sinks
    .command('test <sink>')
    .description('have the worker send something that is no record, and tell how it went (exit code 5: it did not work)')
    .action(async (id: string, _options: object, command: Command) => {
      const session = open(command);
      const { error } = await tested(session, id);
      session.answer({ sinkId: id, ...(error === undefined ? { status: 'works' } : { status: 'failed', error }) });
      if (error !== undefined) throw new CommandEnded(EXIT.unavailable);
    });
  sinks
    .command('remove <sink>')
    .description('deliver nothing there any more')
    .action(async (id: string, _options: object, command: Command) => {
      const session = open(command);
      await session.admin.deleteSink(session.tenant, id);
      session.answer({ removed: id });
    });
}

interface SinkOptions {
  readonly ca?: string;
  readonly description?: string;
  readonly format?: RecordFormat;
  readonly from?: 'beginning' | 'now';
}

function creating(sinks: Command, open: OpenSession): void {
  const create = sinks.command('create').description('a new sink; everything from the first record on, if not told otherwise');
  const kind = (name: string, what: string): Command =>
    create
      .command(name)
      .description(what)
      .option('--description <text>', 'what it is for')
      .option('--ca <file>', 'PEM: trust this authority instead of the public ones');
  const made =
    <Options extends SinkOptions>(targetOf: (options: Options) => Target) =>
    async (options: Options, command: Command): Promise<void> => {
      const session = open(command);
      const { description, from, ca } = options;
      const target = { ...targetOf(options), ...(ca !== undefined && { certificateAuthority: textIn(ca) }) };
      const more = { ...(description !== undefined && { description }), ...(from && { from }) };
      session.answer(await session.admin.createSink(session.tenant, { target, ...more }));
    };
  const format = () => new Option('--format <format>', 'in which shape (docs/delivery.md)').choices(RECORD_FORMATS);
  const from = () => new Option('--from <record>', 'with which record it begins').choices(['beginning', 'now']);

  kind('webhook', 'HTTPS, as Standard Webhooks signed with Ed25519')
    .requiredOption('--url <url>', 'https')
    .addOption(format())
    .addOption(from())
    .addHelpText('after', '\nExample:\n  keyward sink create webhook --url https://siem.acme.example/keyward --format ocsf\n')
    .action(made((options: SinkOptions & { url: string }) => ({ type: 'webhook', url: options.url, ...shaped(options) })));
  kind('syslog', 'RFC 5424 over TLS')
    .requiredOption('--host <name>', 'name or address')
    .option('--port <n>', 'default 6514', wholeNumber(1))
    .option('--client-certificate <file>', 'PEM: who we are, where the receiver asks')
    .option('--client-key-file <file>', 'PEM: its key')
    .addOption(format())
    .addOption(from())
    .addHelpText('after', '\nExample:\n  keyward sink create syslog --host logs.acme.example --ca acme-ca.pem\n')
    .action(made(syslogTarget));
  kind('s3', 'a bucket that can be verified like the log itself')
    .requiredOption('--endpoint <url>', 'of the store, without the bucket')
    .requiredOption('--bucket <name>')
    .requiredOption('--access-key-id <id>')
    .requiredOption('--secret-key-file <file>', 'the secret access key, alone in a file')
    .option('--region <name>', 'default us-east-1')
    .addHelpText(
      'after',
      '\nExample:\n  keyward sink create s3 --endpoint https://s3.eu-central-1.amazonaws.com --region eu-central-1 --bucket acme-trail --access-key-id AKIA… --secret-key-file key\n',
    )
    .action(made(bucketTarget));
}

const textIn = (file: string): string => fileBytes(file).toString();
const shaped = ({ format }: SinkOptions) => (format === undefined ? {} : { format });

interface SyslogOptions extends SinkOptions {
  readonly host: string;
  readonly port?: number;
  readonly clientCertificate?: string;
  readonly clientKeyFile?: string;
}

const syslogTarget = (options: SyslogOptions): Target => ({
  ...{ type: 'syslog', host: options.host },
  ...(options.port !== undefined && { port: options.port }),
  ...(options.clientCertificate !== undefined && { clientCertificate: textIn(options.clientCertificate) }),
  ...(options.clientKeyFile !== undefined && { clientKey: textIn(options.clientKeyFile) }),
  ...shaped(options),
});

interface BucketOptions extends SinkOptions {
  readonly endpoint: string;
  readonly bucket: string;
  readonly region?: string;
  readonly accessKeyId: string;
  readonly secretKeyFile: string;
}

const bucketTarget = ({ endpoint, bucket, region, accessKeyId, secretKeyFile }: BucketOptions): Target => ({
  ...{ type: 's3', endpoint, bucket, accessKeyId, secretAccessKey: textIn(secretKeyFile).trim() },
  ...(region !== undefined && { region }),
});

function one(sinks: Command, open: OpenSession, name: string, what: string, call: (session: Session, id: string) => Promise<SinkAnswer>) {
  sinks
    .command(`${name} <sink>`)
    .description(what)
    .action(async (id: string, _options: object, command: Command) => {
      const session = open(command);
      session.answer(await call(session, id));
    });
}

async function tested(session: Session, id: string): Promise<NonNullable<SinkAnswer['test']>> {
  const { admin, tenant } = session;
  await admin.testSink(tenant, id);
  for (let waited = 0; waited < TEST_PATIENCE_MS; waited += TEST_EVERY_MS) {
    const { test } = await admin.describeSink(tenant, id);
    if (test?.testedAt !== undefined) return test;
    await sleep(TEST_EVERY_MS);
  }
  session.say('No worker has tried it yet: see `keyward sink show` later.');
  throw new CommandEnded(EXIT.unavailable);
}

function placeOf(target: SinkAnswer['target']): string {
  switch (target.type) {
    case 'webhook':
      return target.url;
    case 'syslog':
      return `${target.host}:${target.port}`;
    case 's3':
      return `${target.endpoint} ${target.bucket}`;
  }
}
