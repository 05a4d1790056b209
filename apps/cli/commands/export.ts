import { type Command, Option } from 'commander';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { RECORD_FORMATS, type RecordFormat } from '#contract';
import { disclosuresByDigest, formatRecord } from '#trail';
import type { OpenSession, Session } from '../session.js';
import { wholeNumber } from './options.js';

const RECORDS_A_PAGE = 1000;
const TELL_EVERY = 10_000;

interface ExportOptions {
  readonly format: RecordFormat;
  readonly fromSeq: number;
  readonly toSeq?: number;
}

/** For auditors: records for other tools, a page in memory at a time. */
export function exportCommand(records: Command, open: OpenSession): void {
  records
    .command('export')
    .description('write records to stdout for other tools, one a line, oldest first')
    .addOption(new Option('--format <format>', 'in which shape').choices(RECORD_FORMATS).default('jsonl'))
    .option('--from-seq <n>', 'begin at this record', wholeNumber(0), 0)
    .option('--to-seq <n>', 'end before this record (default: where the log ends now)', wholeNumber(0))
    .addHelpText(
      'after',
      '\nWhere it ends, and with which --from-seq it goes on, is told on stderr.\n\nExample:\n  keyward records export --format ocsf --credentials auditor.json > acme.ocsf.jsonl\n',
    )
    .action(async (options: ExportOptions, command: Command) => {
      const session = open(command);
      const progress = { next: options.fromSeq };
      try {
        await pipeline(Readable.from(linesOf(session, options, progress)), session.terminal.out, { end: false });
      } finally {
        session.say(`Exported records ${options.fromSeq} to ${progress.next - 1}. To go on: --from-seq ${progress.next}`);
      }
    });
}

async function* linesOf(session: Session, { format, fromSeq, toSeq }: ExportOptions, progress: { next: number }): AsyncGenerator<string> {
  const { admin, tenant } = session;
  let cursor: string | undefined;
  let asOf = toSeq;
  do {
    const filter = { fromSeq, limit: RECORDS_A_PAGE, ...(asOf !== undefined && { asOf }), ...(cursor !== undefined && { cursor }) };
    const page = await admin.listRecords(tenant, filter);
    const told = disclosuresByDigest(page.disclosures.map(({ disclosure }) => disclosure));
    // A record has one spelling, that of JSON.stringify.
    for (const item of page.items) {
      yield `${formatRecord(format, tenant, JSON.stringify(item), told)}\n`;
      progress.next = item.seq + 1;
      if (progress.next % TELL_EVERY === 0) session.say(`${progress.next} of ${page.asOf}`);
    }
    [cursor, asOf] = [page.nextCursor, page.asOf];
  } while (cursor !== undefined);
}
