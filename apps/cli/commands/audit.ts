import { type Command, Option } from 'commander';
import { createWriteStream, statSync } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import { trailRecord } from '#contract';
import { refuseExisting } from '../credentials-file.js';
import type { OpenSession } from '../session.js';
import { table } from '../terminal.js';
import { wholeNumber } from './options.js';

interface RecordOptions {
  readonly fromSeq?: number;
  readonly limit?: number;
  readonly op?: string;
  readonly outcome?: 'succeeded' | 'refused' | 'failed';
  readonly key?: string;
  readonly requestId?: string;
}

/** For auditors: what happened, and the means to prove it. */
export function auditCommands(program: Command, open: OpenSession): void {
  const records = program.command('records').description("a tenant's trail (auditors)");
  records
    .command('list')
    .description('records, oldest first; refusals included')
    .option('--from-seq <n>', 'begin at this record', wholeNumber(0))
    .option('--limit <n>', 'how many at most', wholeNumber(1))
    .option('--op <operation>', 'only this operation, as GenerateDataKey')
    .addOption(new Option('--outcome <outcome>', 'only these').choices(['succeeded', 'refused', 'failed']))
    .option('--key <key>', 'only of this key id')
    .option('--request-id <id>', 'only of this request')
    .addHelpText('after', '\nExample:\n  keyward records list --outcome refused --credentials auditor.json\n')
    .action(async ({ key, ...filter }: RecordOptions, command: Command) => {
      const session = open(command);
      const page = await session.admin.listRecords(session.tenant, { ...filter, ...(key !== undefined && { keyId: key }) });
      session.answer(page, table(['SEQ', 'AT', 'WHO', 'OPERATION', 'OUTCOME', 'WHY'], page.items.map(rowOf)));
      if (page.nextSeq !== undefined) session.say(`There are more: --from-seq ${page.nextSeq}`);
    });

  program
    .command('checkpoint')
    .description('the newest signed head of the log (auditors)')
    .action(async (_options: object, command: Command) => {
      const session = open(command);
      const note = await session.admin.checkpoint(session.tenant);
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

/** A record that this version does not know is shown with what can be known of it; only `verify` judges. */
function rowOf(item: unknown): (string | number | undefined)[] {
  const read = trailRecord.safeParse(item);
  if (!read.success) return ['?', '?', '?', '?', '?', JSON.stringify(item)];
  const { seq, recordedAt, actor, op, outcome, error, authz } = read.data;
  const why = error === undefined ? authz?.ruleId : `${error.code}: ${error.reason}`;
  return [seq, recordedAt, `${actor.type} ${actor.principal}`, op, outcome, why];
}
