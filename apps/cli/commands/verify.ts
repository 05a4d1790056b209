import type { Command } from 'commander';
import { createReadStream, existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { nodeSpeed } from '#sdk';
import { KEYS_FILE, parseKeyLinks, type Quorum, tiledLog, type VerificationReport, verifyBundle, verifyLog } from '#trail';
import { EXIT, UsageError } from '../exit-codes.js';
import type { OpenSession, Session } from '../session.js';
import { bytesFrom } from '../terminal.js';
import { CommandEnded } from './command-ended.js';
import { several, wholeNumber } from './options.js';

const AFTER_HELP = `
The bundle is a file, or a folder with a log as C2SP tlog-tiles: a copy of a bucket (docs/delivery.md), or a witness's mirror. Neither needs a server
or a credential. A URL is the log's own, as https://auditor.example/v1/tenants/acme, and is read with the credential.
Exit code 0: the log is as it was signed. 6: it is not, and the first bad record is named, or the two signed checkpoints around it.

Examples:
  keyward verify acme.tar --credentials otto.json
  keyward checkpoint --credentials otto.json > kept; keyward verify acme.tar --since kept --credentials otto.json
  keyward verify https://auditor.example/v1/tenants/acme --credentials otto.json
  aws s3 sync s3://acme-trail trail && keyward verify trail --credentials otto.json
  keyward verify acme.tar --since kept --witness-key "$WITNESS" --credentials otto.json      (kept: from keyward witness feed)
`;

/** For anybody who has a bundle, and for auditors. */
export function verifyCommand(program: Command, open: OpenSession): void {
  program
    .command('verify <bundle-or-url>')
    .description('verify a whole log: its signature, every record, their order')
    .option('--vkey <key>', "the log's verifier key as you noted it earlier (default: the one in the file of --credentials)")
    .option('--since <file>', 'a checkpoint that you kept from earlier: the log must be its continuation')
    .option(
      '--witness-key <vkey>',
      "a witness's verifier key: it must have cosigned the checkpoint, or the one of --since; may be repeated",
      several,
      [],
    )
    .option('--quorum <n>', 'so many of these witnesses are enough (default: all)', wholeNumber(1))
    .addHelpText('after', AFTER_HELP)
    .action(async (source: string, { vkey, since, witnessKey, quorum }: VerifyArguments, command: Command) => {
      const session = open(command);
      const kept = since === undefined ? undefined : (await bytesFrom(session.terminal, since)).toString('utf8');
      const options = { vkey: vkey ?? session.pinnedVkey, since: kept, witnesses: quorumOf(witnessKey, quorum), ...nodeSpeed };
      const report = /^https?:\/\//.test(source) ? await verifyUrl(session, source, options) : await verifyFile(source, options);
      session.answer(report, readable(report));
      if (report.status === 'failed') throw new CommandEnded(EXIT.verification);
    });
}

interface VerifyArguments {
  readonly vkey?: string;
  readonly since?: string;
  readonly witnessKey: readonly string[];
  readonly quorum?: number;
}

/** @throws UsageError for a quorum that could never be */
function quorumOf(keys: readonly string[], quorum = keys.length): Quorum | undefined {
  if (quorum > keys.length) throw new UsageError(`--quorum is ${quorum}, but there are ${keys.length} --witness-key.`);
  return keys.length === 0 ? undefined : { keys, quorum };
}

type Options = Parameters<typeof verifyBundle>[1];

async function verifyFile(file: string, options: Options): Promise<VerificationReport> {
  if (!existsSync(file)) throw new UsageError(`${file} cannot be read.`);
  return statSync(file).isDirectory() ? await verifyFolder(file, options) : await verifyBundle(createReadStream(file), options);
}

/** A copy of a bucket, or of a witness's mirror: files by their paths in C2SP tlog-tiles. */
async function verifyFolder(folder: string, options: Options): Promise<VerificationReport> {
  const at = (path: string) => join(folder, path);
  const bytesAt = (path: string) => (existsSync(at(path)) ? readFileSync(at(path)) : undefined);
  const checkpoint = bytesAt('checkpoint');
  if (checkpoint === undefined) throw new UsageError(`${folder} holds no log: it has no file named checkpoint.`);
  const vkeys = (bytesAt('vkey')?.toString('utf8') ?? '').split('\n').filter((key) => key !== '');
  const keys = bytesAt(KEYS_FILE)?.toString('utf8');
  const open = async () => {
    const rotations = keys === undefined ? [] : parseKeyLinks(keys);
    return tiledLog({ checkpoint: checkpoint.toString('utf8'), vkeys, rotations, checkpoints: [] }, async (path) => bytesAt(path));
  };
  return await verifyLog(open, options);
}

/** @throws UsageError for anything but a log's address */
async function verifyUrl(session: Session, address: string, options: Options): Promise<VerificationReport> {
  const { origin, pathname } = urlOf(address);
  const tenant = /^\/v1\/tenants\/([a-z][a-z0-9-]*)\/?$/.exec(pathname)?.[1];
  if (tenant === undefined) throw new UsageError(`${address} is not the address of a log: it ends in /v1/tenants/NAME.`);
  const auditor = session.adminWith(session.credentials.proof, { keyPlane: undefined, auditor: origin });
  return await verifyLog(() => auditor.tiledLog(tenant), options);
}

function urlOf(address: string): URL {
  if (!URL.canParse(address)) throw new UsageError(`${address} is not a URL.`);
  return new URL(address);
}

/** The report in words. */
export function readable(report: VerificationReport): string {
  if (report.status === 'failed') {
    const place = report.index === undefined ? '' : `\nfirst bad record: ${report.index}`;
    const between = report.between === undefined ? '' : `\nfirst bad record between: ${report.between.from} and ${report.between.to}`;
    return `FAILED (${report.code})${place || between}\n${report.message}`;
  }
  const { origin, size, root, firstAt, lastAt, pinned, followedTo, unseen = [], witnessed } = report;
  const times = firstAt === undefined ? '' : `\nfrom ${firstAt} to ${lastAt}`;
  const key = signedBy(pinned, followedTo);
  const seenBy = witnessed?.by.map(({ witness, time }) => `${witness} at ${new Date(1000 * time).toISOString()}`);
  const seen = witnessed === undefined ? '' : `\nThe first ${witnessed.size} records were seen by ${seenBy?.join(', ')}.`;
  const gone = unseen.map(({ from, to }) => `${from} to ${to - 1}`).join(', ');
  const from = gone === '' ? '' : `\nNot seen: records ${gone}. They were pruned, as the log records; their hashes fit.`;
  return `OK: ${size} records, none missing, none changed${from}\nlog  ${origin}${times}\nroot ${root}\n${key}${seen}`;
}

function signedBy(pinned: boolean, followedTo: string | undefined): string {
  if (!pinned) return 'Signed by the key that came with it: who made the bundle could have chosen it. Give --vkey to know better.';
  if (followedTo === undefined) return 'Signed by the key that you pinned.';
  return `Signed by the key that follows the one that you pinned, as the log itself records. Pin it from now on:\n${followedTo}`;
}
