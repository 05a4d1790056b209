import type { Command } from 'commander';
import { createReadStream, existsSync } from 'node:fs';
import { nodeSpeed } from '#sdk';
import { type Quorum, type VerificationReport, verifyBundle, verifyLog } from '#trail';
import { EXIT, UsageError } from '../exit-codes.js';
import type { OpenSession, Session } from '../session.js';
import { bytesFrom } from '../terminal.js';
import { CommandEnded } from './command-ended.js';
import { several, wholeNumber } from './options.js';

const AFTER_HELP = `
A bundle needs no server and no credential. A URL is the log's own, as https://auditor.example/v1/tenants/acme, and is read with the credential.
Exit code 0: the log is as it was signed. 6: it is not, and the first bad record is named, or the two signed checkpoints around it.

Examples:
  keyward verify acme.tar --credentials otto.json
  keyward checkpoint --credentials otto.json > kept; keyward verify acme.tar --since kept --credentials otto.json
  keyward verify https://auditor.example/v1/tenants/acme --credentials otto.json
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
  return await verifyBundle(createReadStream(file), options);
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
  const { origin, size, root, firstAt, lastAt, pinned, witnessed } = report;
  const times = firstAt === undefined ? '' : `\nfrom ${firstAt} to ${lastAt}`;
  const key = pinned
    ? 'Signed by the key that you pinned.'
    : 'Signed by the key that came with it: who made the bundle could have chosen it. Give --vkey to know better.';
  const seenBy = witnessed?.by.map(({ witness, time }) => `${witness} at ${new Date(1000 * time).toISOString()}`);
  const seen = witnessed === undefined ? '' : `\nThe first ${witnessed.size} records were seen by ${seenBy?.join(', ')}.`;
  return `OK: ${size} records, none missing, none changed\nlog  ${origin}${times}\nroot ${root}\n${key}${seen}`;
}
