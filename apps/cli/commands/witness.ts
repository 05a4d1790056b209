import type { Command } from 'commander';
import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ConfigurationError, isLoopback, serverTls } from '#runtime';
import { nodeSpeed } from '#sdk';
import { parseCheckpoint, parseVkey } from '#trail';
import { EXIT, type ExitCode, exitCodeOf, UsageError } from '../exit-codes.js';
import type { OpenSession, Session } from '../session.js';
import { KeptHeads } from '../witness/kept-heads.js';
import { mirror } from '../witness/mirror.js';
import { type ShownLog, submit, SubmissionRefused } from '../witness/submit.js';
import { Witness } from '../witness/witness.js';
import { claim, createWitness, openWitness } from '../witness/witness-folder.js';
import { WitnessServer } from '../witness/witness-server.js';
import { CommandEnded } from './command-ended.js';
import { several, wholeNumber } from './options.js';
import { readable } from './verify.js';

/** Submissions that others overtook are made so often again. */
const AGAIN = 3;

interface RunOptions {
  readonly log: readonly string[];
  readonly host: string;
  readonly port: number;
  readonly tlsCert?: string;
  readonly tlsKey?: string;
}

interface FeedOptions {
  readonly witness: readonly string[];
  readonly witnessKey: readonly string[];
  readonly out?: string;
  readonly mirror?: string;
  readonly vkey?: string;
  readonly every?: number;
}

/** For a tenant that wants to know that everybody sees the same log. */
export function witnessCommands(program: Command, open: OpenSession): void {
  const witness = program.command('witness').description('a process of your own that vouches for your log, and what feeds it');
  witness
    .command('init <folder>')
    .description("make a witness: its key, and the folder that keeps what it saw; prints the witness's verifier key")
    .requiredOption('--name <name>', 'its name, as witness.acme.example')
    .addHelpText('after', '\nExample:\n  keyward witness init /var/lib/witness --name witness.acme.example\n')
    .action((folder: string, { name }: { name: string }, command: Command) => {
      const vkey = createWitness(folder, name);
      open(command).answer({ vkey }, vkey);
    });
  witness
    .command('run <folder>')
    .description('answer C2SP tlog-witness requests until SIGTERM')
    .option('--log <vkey>', "a log's verifier key: only checkpoints of these are cosigned; may be repeated", several, [])
    .option('--host <address>', 'where to listen; beyond loopback only with TLS', '127.0.0.1')
    .option('--port <n>', '0: any free one', wholeNumber(0), 7750)
    .option('--tls-cert <file>', 'PEM')
    .option('--tls-key <file>', 'PEM')
    .addHelpText('after', '\nExample:\n  keyward witness run /var/lib/witness --log "$VKEY"\n')
    .action((folder: string, options: RunOptions, command: Command) => run(open(command), folder, options));
  witness
    .command('feed')
    .description('give the newest checkpoint to witnesses; prints it with their cosignatures (auditors)')
    .option('--witness <url>', 'a witness; may be repeated', several, [])
    .option('--witness-key <vkey>', "a witness's verifier key; may be repeated", several, [])
    .option('--out <file>', 'keep the cosigned checkpoint there, for `verify --since`')
    .option('--mirror <folder>', 'first copy all records there and verify the copy')
    .option('--vkey <key>', "the log's verifier key, for --mirror (default: the one in the file of --credentials)")
    .option('--every <seconds>', 'go on until SIGTERM', wholeNumber(1))
    .addHelpText(
      'after',
      `
Exit code 6: a witness saw another log than this one. Keep both checkpoints; they are the proof.

Example:
  keyward witness feed --witness http://127.0.0.1:7750 --witness-key "$WITNESS" --out kept --mirror acme-log --credentials otto.json
`,
    )
    .action(async (options: FeedOptions, command: Command) => {
      if (options.witness.length === 0 && options.mirror === undefined) throw new UsageError('Give --witness, --mirror or both.');
      if (options.witness.length > 0 && options.witnessKey.length === 0) throw new UsageError('Give --witness-key for each --witness.');
      const session = open(command);
      for (;;) {
        const exit = await feed(session, options);
        if (options.every === undefined || exit === EXIT.verification) return end(exit);
        await sleep(1000 * options.every);
      }
    });
}

/** @throws UsageError, ConfigurationError */
async function run(session: Session, folder: string, { log, host, port, tlsCert, tlsKey }: RunOptions): Promise<void> {
  if (log.length === 0) throw new UsageError('Which log? Give --log with its verifier key.');
  if ((tlsCert === undefined) !== (tlsKey === undefined)) throw new UsageError('Give both --tls-cert and --tls-key, or neither.');
  const files =
    tlsCert !== undefined && tlsKey !== undefined ? ({ mode: 'files', certFile: tlsCert, keyFile: tlsKey } as const) : undefined;
  if (files === undefined && !isLoopback(host)) throw new ConfigurationError('Beyond loopback a witness needs --tls-cert and --tls-key.');
  const { vkey, ...identity } = openWitness(folder);
  const logs = log.map((key) => parseVkey(key));
  const release = claim(folder);
  try {
    const heads = new KeptHeads(folder);
    const witness = new Witness(identity, logs, heads, () => Math.floor(Date.now() / 1000));
    const onError = (error: unknown) => session.say(error instanceof Error ? error.message : 'something went wrong');
    const server = await WitnessServer.start(witness, heads, { host, port, tls: files && serverTls(files), onError });
    session.answer({ url: server.url, vkey }, `${server.url}\n${vkey}`);
    await new Promise<void>((ended) => ['SIGTERM', 'SIGINT'].forEach((signal) => process.once(signal, () => ended())));
    await server.close();
  } finally {
    release();
  }
}

/** Copies and submits; once more, with the newest checkpoint, where others fed a witness meanwhile. */
async function feed(session: Session, options: FeedOptions): Promise<ExitCode> {
  let fed = await feedOnce(session, options);
  for (let again = 0; again < AGAIN && fed?.refused.some(({ code }) => code === 'overtaken'); again++)
    fed = await feedOnce(session, options);
  if (fed === undefined) return EXIT.verification;
  const { cosigned, refused } = fed;
  refused.forEach(({ message }) => session.say(message));
  if (options.out !== undefined && refused.length < options.witness.length) keep(options.out, cosigned);
  session.answer({ checkpoint: cosigned, refused: refused.map(({ code, message }) => ({ code, message })) }, cosigned.trimEnd());
  return refused.map(exitCodeOf).sort((a, b) => b - a)[0] ?? EXIT.ok;
}

/** Nothing when the copy does not stand: then no witness is asked. */
async function feedOnce(session: Session, options: FeedOptions): Promise<Fed | undefined> {
  const { admin, tenant } = session;
  const head = await admin.logHead(tenant);
  if (options.mirror !== undefined) {
    const copied = { vkey: options.vkey ?? session.pinnedVkey, ...nodeSpeed };
    const report = await mirror(options.mirror, head, (path) => admin.tile(tenant, path), copied);
    session.say(readable(report));
    if (report.status === 'failed') return undefined;
  }
  const to = Number(parseCheckpoint(head.checkpoint).size);
  const log: ShownLog = {
    checkpoint: head.checkpoint,
    rotations: head.rotations,
    consistency: async (from) =>
      (await admin.consistency(tenant, { from, to })).proof.map((hash) => new Uint8Array(Buffer.from(hash, 'base64'))),
    newestSize: async () => parseCheckpoint(await admin.checkpoint(tenant)).size,
  };
  let cosigned = head.checkpoint;
  const refused: SubmissionRefused[] = [];
  for (const witness of options.witness) {
    try {
      cosigned += await submit(witness, log, options.witnessKey);
    } catch (error) {
      if (!(error instanceof SubmissionRefused)) throw error;
      refused.push(error);
    }
  }
  return { cosigned, refused };
}

interface Fed {
  /** The checkpoint with the signature lines of all who cosigned it. */
  readonly cosigned: string;
  readonly refused: readonly SubmissionRefused[];
}

function keep(file: string, note: string): void {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(`${file}.new`, note, { flush: true });
  renameSync(`${file}.new`, file);
}

function end(exit: ExitCode): void {
  if (exit !== EXIT.ok) throw new CommandEnded(exit);
}
