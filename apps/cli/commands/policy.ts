import type { Command } from 'commander';
import type { LintFinding } from '#contract';
import { InvalidCall, NotFound } from '#sdk';
import { EXIT } from '../exit-codes.js';
import type { OpenSession, Session } from '../session.js';
import { lines, printable, table } from '../terminal.js';
import { CommandEnded } from './command-ended.js';
import { listed, paged, type PageOptions, wholeNumber } from './options.js';
import { askingCommands } from './policy-asking.js';
import { asCsv, checkedHere, explained, findingLines, inEitherForm, mustBeValid, policyTextIn, type TextOptions } from './policy-text.js';

interface Replacing {
  readonly replaces?: number;
}

const replacing = (command: Command): Command =>
  command.option(
    '--replaces <version>',
    'refuse unless this version is in force (default: whatever is in force now; 0: none)',
    wholeNumber(0),
  );

/** For admins: which service may use which key for what. */
export function policyCommands(program: Command, open: OpenSession): void {
  const policy = program.command('policy').description('who may do what with which key (admins)');
  checkingCommands(policy, open);
  draftCommands(policy, open);
  versionCommands(policy, open);
  askingCommands(policy, open);
}

/** Without a server. */
function checkingCommands(policy: Command, open: OpenSession): void {
  inEitherForm(policy.command('lint <file>').description('check a policy, JSON or Casbin CSV, here; - is stdin'))
    .option('--online', 'let the server check it, which also knows the services')
    .addHelpText('after', '\nExit code 2 if it is no valid policy.\n\nExample, in a pull request:\n  keyward policy lint policy.csv\n')
    .action(async (file: string, options: TextOptions & { online?: true }, command: Command) => {
      const session = open(command);
      const text = await policyTextIn(session, file, options);
      const findings: LintFinding[] = options.online
        ? (await session.admin.lintPolicy(session.tenant, text)).findings
        : (await checkedHere(text)).findings;
      const valid = findings.every(({ severity }) => severity !== 'error');
      session.answer({ valid, findings }, findings.length === 0 ? 'No findings.' : findingLines(file, findings));
      if (!valid) throw new CommandEnded(EXIT.usage);
    });
  inEitherForm(policy.command('explain <file>').description('say in sentences what a policy allows; nothing is sent')).action(
    async (file: string, options: TextOptions, command: Command) => {
      const session = open(command);
      const { document, findings } = await checkedHere(await policyTextIn(session, file, options));
      const sentences = await explained(mustBeValid(file, document, findings));
      session.answer({ sentences }, lines(sentences));
    },
  );
  inEitherForm(policy.command('convert <file>').description('write Casbin CSV as JSON, and JSON as Casbin CSV; nothing is lost'))
    .addHelpText('after', '\nExample:\n  keyward policy convert policy.json > policy.csv\n')
    .action(async (file: string, options: TextOptions, command: Command) => {
      const session = open(command);
      const text = await policyTextIn(session, file, options);
      const { document, findings } = await checkedHere(text);
      const valid = mustBeValid(file, document, findings);
      session.terminal.out.write(text.format === 'csv' ? `${JSON.stringify(valid, undefined, 2)}\n` : await asCsv(valid));
    });
}

function draftCommands(policy: Command, open: OpenSession): void {
  inEitherForm(policy.command('draft <file>').description('store a draft, JSON or Casbin CSV; - is stdin'))
    .addHelpText(
      'after',
      '\nExample:\n  keyward policy draft policy.json && keyward policy validate && keyward policy preview && keyward policy publish\n',
    )
    .action(async (file: string, options: TextOptions, command: Command) => {
      const session = open(command);
      const text = await policyTextIn(session, file, options);
      const { document, findings } = await checkedHere(text);
      mustBeValid(file, document, findings);
      const { document: _, ...stored } = await session.admin.putPolicyDraft(session.tenant, text);
      session.answer(stored);
      if (findings.length > 0) session.say(findingLines(file, findings));
    });
  policy
    .command('validate')
    .description('check the draft, and tell in sentences what it would change')
    .action(async (_options: object, command: Command) => {
      const session = open(command);
      const found = await session.admin.validatePolicyDraft(session.tenant);
      const { change, replaces, diff, findings, digest } = found;
      const head = `${CHANGES[change]} Version in force: ${replaces === 0 ? 'none' : replaces}. SHA-256 of the draft: ${printable(digest)}.`;
      session.answer(found, [head, ...diff.map(printable), findingLines('draft', findings)].filter((line) => line !== '').join('\n'));
    });
  policy
    .command('preview')
    .description('replay the recorded calls of the last days against the draft')
    .option('--days <n>', 'how far back', wholeNumber(1), 30)
    .action(async ({ days }: { days: number }, command: Command) => {
      const session = open(command);
      const found = await session.admin.previewPolicyDraft(session.tenant, days);
      const rows = found.changes.map((item) => [
        ...[item.subject, item.operation, item.alias ?? item.keyId],
        ...[item.newlyRefused, item.newlyAllowed, item.unjudged],
      ]);
      const columns = ['SERVICE', 'OPERATION', 'KEY', 'NEWLY REFUSED', 'NEWLY ALLOWED', 'NOT JUDGED'];
      session.answer(found, [...found.sentences.map(printable), ...(rows.length > 0 ? ['', table(columns, rows)] : [])].join('\n'));
      if (!found.complete) session.say('There were more calls; the oldest are left out.');
    });
  replacing(policy.command('publish').description('publish the draft'))
    .option('--digest <sha256>', 'of the draft that you have validated (default: of the draft as it is now)')
    .option('--acknowledge <codes>', 'warnings that you have seen, by commas', listed, [])
    .action(async (options: Replacing & { digest?: string; acknowledge: string[] }, command: Command) => {
      const session = open(command);
      const version = options.replaces ?? (await versionInForce(session));
      const digest = options.digest ?? (await session.admin.getPolicyDraft(session.tenant)).digest;
      const { document: _, ...answer } = await session.admin
        .publishPolicyDraft(session.tenant, version, { digest, acknowledge: options.acknowledge })
        .catch((error: unknown) => advised(session, error));
      session.answer(answer);
    });
  policy
    .command('discard')
    .description('remove the draft')
    .action(async (_options: object, command: Command) => {
      const session = open(command);
      session.answer(await session.admin.discardPolicyDraft(session.tenant));
    });
}

const CHANGES = {
  same: 'Changes nothing.',
  narrowing: 'Only takes away: nothing that is refused now would be allowed.',
  widening: 'May allow more than now.',
} as const;

function advised(session: Session, error: unknown): never {
  const codes = error instanceof InvalidCall ? error.fields.map(({ message }) => message.slice(0, 4)) : [];
  if (codes.length > 0) session.say(`If that is what you want: keyward policy publish --acknowledge ${[...new Set(codes)].join(',')}`);
  throw error;
}

function versionCommands(policy: Command, open: OpenSession): void {
  policy
    .command('get')
    .description('the policy in force: its document, or with --json also version, digest and author')
    .action(async (_options: object, command: Command) => {
      const session = open(command);
      const answer = await session.admin.getPolicy(session.tenant);
      session.answer(answer, JSON.stringify(answer.document, undefined, 2));
      session.say(`Version ${answer.version} of ${answer.author}, ${answer.publishedAt}; SHA-256 ${answer.digest}.`);
    });
  replacing(inEitherForm(policy.command('put <file>').description('publish a policy in one step, JSON or Casbin CSV; - is stdin')))
    .addHelpText('after', '\nExample:\n  keyward policy put policy.json --replaces 3\n')
    .action(async (file: string, options: Replacing & TextOptions, command: Command) => {
      const session = open(command);
      const checked = await checkedHere(await policyTextIn(session, file, options));
      const { findings } = checked;
      const document = mustBeValid(file, checked.document, findings);
      const version = options.replaces ?? (await versionInForce(session));
      const { document: _, ...answer } = await session.admin.putPolicy(session.tenant, document, version);
      session.answer(answer);
      if (findings.length > 0) session.say(findingLines(file, findings));
    });
  paged(policy.command('versions').description('every version that was published')).action(
    async (options: PageOptions, command: Command) => {
      const session = open(command);
      const page = await session.admin.listPolicyVersions(session.tenant, options);
      const rows = page.items.map((item) => [item.version, item.author, item.publishedAt, item.digest]);
      session.answer(page, table(['VERSION', 'AUTHOR', 'PUBLISHED', 'SHA-256'], rows));
    },
  );
  policy
    .command('show <version>')
    .description('one version')
    .option('--csv', 'as Casbin CSV')
    .action(async (version: string, { csv }: { csv?: true }, command: Command) => {
      const session = open(command);
      const number = wholeNumber(1)(version);
      if (csv) {
        session.terminal.out.write(await session.admin.exportPolicy(session.tenant, number));
        return;
      }
      const answer = await session.admin.getPolicyVersion(session.tenant, number);
      session.answer(answer, JSON.stringify(answer.document, undefined, 2));
    });
  policy
    .command('diff [from] [to]')
    .description('what differs, in sentences; from: the version in force, to: the draft, unless told otherwise')
    .action(async (from: string | undefined, to: string | undefined, _options: object, command: Command) => {
      const session = open(command);
      const number = (text: string | undefined) => (text === undefined ? undefined : wholeNumber(0)(text));
      const [a, b] = [number(from), number(to)];
      const found = await session.admin.diffPolicy(session.tenant, {
        ...(a !== undefined && { from: a }),
        ...(b !== undefined && { to: b }),
      });
      session.answer(found, lines([CHANGES[found.change], ...found.sentences]));
    });
  replacing(policy.command('rollback <version>').description('publish an old version again, as a new one')).action(
    async (version: string, { replaces }: Replacing, command: Command) => {
      const session = open(command);
      const present = replaces ?? (await versionInForce(session));
      const { document: _, ...answer } = await session.admin.rollbackPolicy(session.tenant, wholeNumber(1)(version), present);
      session.answer(answer);
    },
  );
}

async function versionInForce(session: Session): Promise<number> {
  try {
    return (await session.admin.getPolicy(session.tenant)).version;
  } catch (error) {
    if (error instanceof NotFound) return 0;
    throw error;
  }
}
