import { type Command, Option } from 'commander';
import { createWriteStream, statSync } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import { trailRecord } from '#contract';
import { refuseExisting } from '../credentials-file.js';
import { type Disclosures, disclosuresByDigest, parseCheckpoint, verifyRecordProof, VerifierKeyRefused } from '#trail';
import { EXIT } from '../exit-codes.js';
import type { OpenSession } from '../session.js';
import { bytesFrom, table } from '../terminal.js';
import { heldBy } from '../witness/submit.js';
import { CommandEnded } from './command-ended.js';
import { exportCommand } from './export.js';
import { vkeysOption, wholeNumber } from './options.js';

interface RecordOptions {
  readonly fromSeq?: number;
  readonly limit?: number;
  readonly from?: string;
  readonly to?: string;
  readonly op?: string;
  readonly outcome?: 'succeeded' | 'refused' | 'failed';
  readonly key?: string;
  readonly principal?: string;
  readonly requestId?: string;
  readonly asOf?: number;
  readonly cursor?: string;
}

/** For auditors: what happened, and the means to prove it. */
export function auditCommands(program: Command, open: OpenSession): void {
  const records = program.command('records').description("a tenant's trail (auditors)");
  records
    .command('list')
    .description('records, oldest first; refusals included')
    .option('--from-seq <n>', 'begin at this record', wholeNumber(0))
    .option('--limit <n>', 'how many at most', wholeNumber(1))
    .option('--from <time>', 'recorded then or later, as 2026-11-25T12:00:00Z')
    .option('--to <time>', 'recorded before')
    .option('--op <operation>', 'only this operation, as GenerateDataKey')
    .addOption(new Option('--outcome <outcome>', 'only these').choices(['succeeded', 'refused', 'failed']))
    .option('--key <key>', 'only of this key id')
    .option('--principal <name>', 'only of this service or person')
    .option('--request-id <id>', 'only of this request')
    .option('--as-of <size>', 'as if the log had only so many records', wholeNumber(0))
    .option('--cursor <text>', 'go on where a list with the same filters ended')
    .addHelpText('after', '\nExample:\n  keyward records list --outcome refused --credentials auditor.json\n')
    .action(async ({ key, ...filter }: RecordOptions, command: Command) => {
      const session = open(command);
      const page = await session.admin.listRecords(session.tenant, { ...filter, ...(key !== undefined && { keyId: key }) });
      session.answer(page, table(['SEQ', 'AT', 'WHO', 'OPERATION', 'OUTCOME', 'WHY'], page.items.map(rowOf(page.disclosures))));
      if (page.unreadable.length > 0)
        session.say(
          `Under ${page.unreadable.length} digest(s) of these records something else than a personal field is stored: a plane may have been taken over.`,
        );
      if (page.nextCursor !== undefined) session.say(`There may be more: the same filters and --cursor ${page.nextCursor}`);
    });
  exportCommand(records, open);
  records
    .command('proof <seq>')
    .description('the proof that a record stands in the log, as C2SP tlog-proof')
    .addHelpText('after', '\nExample:\n  keyward records proof 42 --credentials auditor.json > 42.tlog-proof\n')
    .action(async (seq: string, _options: object, command: Command) => {
      const session = open(command);
      const proof = await session.admin.recordProof(session.tenant, wholeNumber(0)(seq));
      session.answer({ proof }, proof.trimEnd());
    });
  records
    .command('verify <proof> <record>')
    .description('verify such a proof offline, for a record in a file (one item of `records list --json`)')
    .addOption(vkeysOption())
    .action(verifyProof(open));

  program
    .command('checkpoint')
    .description('the newest signed head of the log (auditors)')
    .option('--witness <url>', 'instead the one that this witness cosigned last, with its cosignature')
    .addHelpText('after', '\nExample:\n  keyward checkpoint --witness http://127.0.0.1:7750 --credentials auditor.json\n')
    .action(async ({ witness }: { witness?: string }, command: Command) => {
      const session = open(command);
      const newest = await session.admin.checkpoint(session.tenant);
      const note = witness === undefined ? newest : await heldBy(witness, parseCheckpoint(newest).origin);
      session.answer({ checkpoint: note }, note.trimEnd());
    });

  const bundle = program.command('bundle').description('the whole log as one file (auditors)');
  bundle
    .command('download <file>')
    .description('write everything that `keyward verify` needs, as a tar')
    .addHelpText(
      'after',
      '\nExample:\n  keyward bundle download acme.tar --credentials auditor.json && keyward verify acme.tar --credentials auditor.json\n',
    )
    .action(async (file: string, _options: object, command: Command) => {
      const session = open(command);
      refuseExisting(file);
      await pipeline(await session.admin.bundle(session.tenant), createWriteStream(file, { flags: 'wx', mode: 0o600 }));
      session.answer({ bundle: file, bytes: statSync(file).size });
    });
}

/** A record has one spelling, that of JSON.stringify: an item of a list is its bytes. */
const verifyProof =
  (open: OpenSession) =>
  async (proofFile: string, recordFile: string, { vkey }: { vkey: readonly string[] }, command: Command): Promise<void> => {
    const session = open(command);
    const keys = session.pinnedVkeys(vkey);
    const [proof, record] = [await bytesFrom(session.terminal, proofFile), await bytesFrom(session.terminal, recordFile)];
    try {
      const place = await verifyRecordProof(proof.toString('utf8'), Buffer.from(JSON.stringify(JSON.parse(record.toString('utf8')))), keys);
      session.answer({ status: 'verified', ...place }, `OK: record ${place.index} of a log of ${place.size}`);
    } catch (error) {
      if (!(error instanceof Error) || error instanceof VerifierKeyRefused) throw error;
      session.answer({ status: 'failed', message: error.message }, `FAILED\n${error.message}`);
      throw new CommandEnded(EXIT.verification);
    }
  };

/** People by the names whose digests a record carries. One that this version does not know is shown with what can be known of it. */
const rowOf = (disclosures: readonly { readonly disclosure: string }[]) => {
  const told = disclosuresByDigest(disclosures.map(({ disclosure }) => disclosure));
  return (item: unknown) => rowOfRecord(item, told);
};

function rowOfRecord(item: unknown, told: Disclosures): (string | number | undefined)[] {
  const read = trailRecord.safeParse(item);
  if (!read.success) return ['?', '?', '?', '?', '?', JSON.stringify(item)];
  const { seq, recordedAt, actor, op, outcome, error, authz } = read.data;
  const why = error === undefined ? authz?.ruleId : `${error.code}: ${error.reason}`;
  const person = read.data._sd?.map((digest) => told.get(digest)).find((known) => known?.name === 'userName');
  return [seq, recordedAt, `${actor.type} ${person?.value ?? actor.principal}`, op, outcome, why];
}
