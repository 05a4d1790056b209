import { type Command, Option } from 'commander';
import type { OpenSession } from '../session.js';
import { table } from '../terminal.js';
import { paged, type PageOptions, wholeNumber } from './options.js';

interface StatsOptions {
  readonly interval: '1m' | '1h' | '1d';
  readonly from: string;
  readonly to: string;
  readonly key?: string;
}

/** For auditors: what a log says in sum, and what stands beside it. */
export function auditReportCommands(program: Command, open: OpenSession): void {
  program
    .command('stats')
    .description('records by interval, operation and outcome (auditors)')
    .addOption(new Option('--interval <length>', 'how long each is').choices(['1m', '1h', '1d']).default('1h'))
    .option('--from <time>', 'as 2026-11-25T00:00:00Z', ago(24))
    .option('--to <time>', 'not included', ago(0))
    .option('--key <key>', 'only of this key id')
    .addHelpText(
      'after',
      '\nExample:\n  keyward stats --interval 1d --from 2026-11-01T00:00:00Z --to 2026-12-01T00:00:00Z --credentials auditor.json\n',
    )
    .action(async ({ key, ...query }: StatsOptions, command: Command) => {
      const session = open(command);
      const stats = await session.admin.recordStats(session.tenant, { ...query, ...(key !== undefined && { keyId: key }) });
      const rows = stats.items.map((item) => [item.at, item.operation, item.outcome, item.count]);
      session.answer(stats, table(['FROM', 'OPERATION', 'OUTCOME', 'COUNT'], rows));
      session.say(`The first ${stats.coveredSize} records are counted.`);
    });

  paged(program.command('key-inventory').description('keys: states, versions, last use, and who may use them (auditors)')).action(
    async (options: PageOptions, command: Command) => {
      const session = open(command);
      const page = await session.admin.keyInventory(session.tenant, options);
      const rows = page.items.map(({ keyId, state, versions, aliases, lastUse, usableBy }) => [
        ...[keyId, state, versions.length, aliases.join(' ')],
        ...[lastUse?.at, usableBy.map(({ subject, operations }) => `${subject}:${operations.join('+')}`).join(' ')],
      ]);
      session.answer(page, table(['KEY', 'STATE', 'VERSIONS', 'ALIASES', 'LAST USE', 'USABLE BY'], rows));
    },
  );

  paged(program.command('leases').description('data keys and decrypted ones that services may still hold, by the records (auditors)'))
    .option('--key <key>', 'only of this key id')
    .option('--principal <name>', 'only of this service')
    .addHelpText('after', '\nExample:\n  keyward leases --principal billing --credentials auditor.json\n')
    .action(async ({ key, ...query }: PageOptions & { key?: string; principal?: string }, command: Command) => {
      const session = open(command);
      const page = await session.admin.leases(session.tenant, { ...query, ...(key !== undefined && { keyId: key }) });
      const rows = page.items.map(({ until, service, operation, keyId, count, maxUses, maxBytes, seq }) => [
        ...[until, service, operation, keyId, count],
        ...[maxUses, maxBytes, seq],
      ]);
      session.answer(page, table(['UNTIL', 'SERVICE', 'OPERATION', 'KEY', 'COUNT', 'MAX USES', 'MAX BYTES', 'RECORD'], rows));
      if (page.nextCursor !== undefined) session.say(`There may be more: the same filters and --cursor ${page.nextCursor}`);
    });

  program
    .command('coverage')
    .description('how each key was used, by the values of a label of the encryption context (auditors)')
    .option('--name <label>', 'the label', 'dataClass')
    .option('--values <values>', 'by commas; default: those that the policy in force names')
    .addHelpText(
      'after',
      '\nRecords hold digests of labels: values that nobody names are counted together.\n\nExample:\n  keyward coverage --values payment,identity --credentials auditor.json\n',
    )
    .action(async ({ name, values }: { name: string; values?: string }, command: Command) => {
      const session = open(command);
      const report = await session.admin.coverage(session.tenant, { name, ...(values !== undefined && { values: values.split(',') }) });
      const rows = report.items.map(({ value, keyId, versionId, service, operation, count, lastAt }) => [
        ...[value ?? '(none of these)', keyId, versionId, service, operation, count, lastAt],
      ]);
      session.answer(report, table([name.toUpperCase(), 'KEY', 'VERSION', 'SERVICE', 'OPERATION', 'COUNT', 'LAST'], rows));
      session.say(`The first ${report.coveredSize} records are counted.`);
    });

  program
    .command('policy-history')
    .description('every policy that was ever in force, the newest first (auditors)')
    .option('--before-version <n>', 'go on where a list ended', wholeNumber(1))
    .option('--limit <n>', 'how many at most', wholeNumber(1))
    .addHelpText('after', '\nWith --json the documents are in it.\n')
    .action(async (options: { beforeVersion?: number; limit?: number }, command: Command) => {
      const session = open(command);
      const history = await session.admin.policyHistory(session.tenant, options);
      const rows = history.items.map(({ version, publishedAt, author, digest }) => [version, publishedAt, author, digest]);
      session.answer(history, table(['VERSION', 'PUBLISHED', 'BY', 'DIGEST'], rows));
      if (history.nextBeforeVersion !== undefined) session.say(`There are more: --before-version ${history.nextBeforeVersion}`);
    });

  program
    .command('consistency <from> [to]')
    .description('the proof that the log of TO records began as the log of FROM records (auditors)')
    .action(async (from: string, to: string | undefined, _options: object, command: Command) => {
      const session = open(command);
      const sizes = { from: wholeNumber(0)(from), ...(to !== undefined && { to: wholeNumber(0)(to) }) };
      const answer = await session.admin.consistency(session.tenant, sizes);
      session.answer(answer, answer.proof.join('\n'));
    });
}

/** A time on the hour, so many hours ago; 0: the next one. */
const ago = (hours: number): string =>
  new Date(3_600_000 * (Math.floor(Date.now() / 3_600_000) + (hours === 0 ? 1 : -hours))).toISOString();
