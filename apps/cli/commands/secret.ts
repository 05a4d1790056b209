import { type Command, Option } from 'commander';
import { PASSWORD_CLASSES, type PasswordClass, SECRET_RECOVERY_DAYS, SECRET_TYPES, type SecretType } from '#contract';
import { UsageError } from '../exit-codes.js';
import type { OpenSession, Session } from '../session.js';
import { bytesFrom, table } from '../terminal.js';
import { pair, paged, type PageOptions, several, wholeNumber } from './options.js';
import { idOf } from './secret-id.js';
import { secretRotationCommands } from './secret-rotation.js';

interface Valued {
  readonly in?: string;
  readonly binary?: boolean;
  readonly versionId?: string;
}

/** For admins: passwords, tokens and keys that their services read by grant. */
export function secretCommands(program: Command, open: OpenSession): void {
  const secrets = program.command('secret').description('passwords, tokens and keys that services read by grant (admins)');
  writing(secrets, open);
  reading(secrets, open);
  changing(secrets, open);
  ending(secrets, open);
  secretRotationCommands(secrets, open);
  passwords(secrets, open);
}

/** The value never stands on a command line. */
const valued = (command: Command, from: string | undefined): Command =>
  command
    .option('--in <file>', from === undefined ? 'its first value: a file, or - for stdin' : 'a file instead of stdin', from)
    .option('--binary', 'it is no text')
    .option('--version-id <id>', 'of this value: the same value under it again is success');

const valueOf = async (session: Session, { in: from = '-', binary, versionId }: Valued) => ({
  value: await bytesFrom(session.terminal, from),
  format: binary === true ? ('binary' as const) : ('text' as const),
  ...(versionId !== undefined && { versionId }),
});

const tagged = (command: Command, what: string): Command => command.option('--tag <name=value>', what, several, []);
const tagsOf = (tags: readonly string[]) => (tags.length === 0 ? {} : { tags: Object.fromEntries(tags.map(pair)) });

function writing(secrets: Command, open: OpenSession): void {
  const create = secrets
    .command('create <name>')
    .description('make a secret under one of the keys')
    .requiredOption('--key <key>', 'the key that seals its values: its id or an alias')
    .addOption(new Option('--type <type>', 'what it is').choices(SECRET_TYPES))
    .option('--description <text>', 'what it is for', '');
  tagged(valued(create, undefined), 'a tag; may be repeated')
    .addHelpText('after', '\nExample:\n  printf hunter2 | keyward secret create shop/db --key alias/invoices --in -\n')
    .action(
      async (
        name: string,
        { key, type, description, tag, ...value }: Valued & { key: string; type?: SecretType; description: string; tag: string[] },
        command: Command,
      ) => {
        const session = open(command);
        if (value.in === undefined && value.versionId !== undefined) throw new UsageError('--version-id is of a value: add --in.');
        const body = { name, keyId: key, description, ...(type && { type }), ...tagsOf(tag) };
        session.answer(
          await session.admin.secrets.create(session.tenant, { ...body, ...(value.in !== undefined && (await valueOf(session, value))) }),
        );
      },
    );
  valued(secrets.command('put <secret>').description('store a new value, from stdin: it is current from now on'), '-')
    .option('--label <label>', 'what it is called instead; may be repeated', several, [])
    .addHelpText('after', '\nExample:\n  printf correct-horse | keyward secret put shop/db\n')
    .action(async (reference: string, { label, ...value }: Valued & { label: string[] }, command: Command) => {
      const session = open(command);
      const body = { secretId: reference, ...(await valueOf(session, value)), ...(label.length > 0 && { labels: label }) };
      session.answer(await session.admin.secrets.putValue(session.tenant, body));
    });
}

function reading(secrets: Command, open: OpenSession): void {
  secrets
    .command('get <secret>')
    .description('the value to stdout, byte for byte (with --json as base64); recorded like any read')
    .option('--label <label>', 'default: ACSCurrent')
    .option('--version-id <id>', 'this version instead')
    .action(async (reference: string, which: { label?: string; versionId?: string }, command: Command) => {
      const session = open(command);
      const { value, ...told } = await session.admin.secrets.getValue(session.tenant, { secretId: reference, ...which });
      if (session.json) session.answer({ ...told, value: value.toString('base64') });
      else session.terminal.out.write(value);
    });
  secrets
    .command('describe <secret>')
    .description('everything about it but its value')
    .action(async (reference: string, _options: object, command: Command) => {
      const session = open(command);
      session.answer(await session.admin.secrets.describe(session.tenant, reference));
    });
  paged(secrets.command('list').description('all secrets'))
    .option('--prefix <text>', 'only those whose names begin with this')
    .action(async (query: PageOptions & { prefix?: string }, command: Command) => {
      const session = open(command);
      const page = await session.admin.secrets.list(session.tenant, query);
      const rows = page.items.map((item) => [item.name, item.secretId, item.type, item.state, item.rotation?.nextRotationAt]);
      session.answer(page, table(['NAME', 'SECRET', 'TYPE', 'STATE', 'NEXT ROTATION'], rows));
    });
  secrets
    .command('versions <secret>')
    .description('its versions, the oldest first')
    .action(async (reference: string, _options: object, command: Command) => {
      const session = open(command);
      const answer = await session.admin.secrets.versions(session.tenant, await idOf(session, reference));
      const rows = answer.items.map((item) => [item.versionId, item.labels.join(' '), item.format, item.createdAt, item.keyVersionId]);
      session.answer(answer, table(['VERSION', 'LABELS', 'FORMAT', 'CREATED', 'KEY VERSION'], rows));
    });
}

function changing(secrets: Command, open: OpenSession): void {
  secrets
    .command('label <secret> <label>')
    .description('move a label to another version, or take it away')
    .option('--to <version>', 'the version that has it from now on')
    .option('--from <version>', 'the version that has it now: needed where one has')
    .addHelpText('after', '\nExample, back to the value before:\n  keyward secret label shop/db ACSCurrent --from sver_02… --to sver_01…\n')
    .action(async (reference: string, label: string, { to, from }: { to?: string; from?: string }, command: Command) => {
      const session = open(command);
      const body = { label, ...(to !== undefined && { moveTo: to }), ...(from !== undefined && { removeFrom: from }) };
      session.answer(await session.admin.secrets.moveLabel(session.tenant, await idOf(session, reference), body));
    });
  tagged(
    secrets.command('update <secret>').description('change its description or tags'),
    'all tags that it has from now on; may be repeated',
  )
    .option('--description <text>', 'what it is for')
    .action(async (reference: string, { description, tag }: { description?: string; tag: string[] }, command: Command) => {
      const session = open(command);
      const body = { ...(description !== undefined && { description }), ...tagsOf(tag) };
      session.answer(await session.admin.secrets.update(session.tenant, await idOf(session, reference), body));
    });
}

function ending(secrets: Command, open: OpenSession): void {
  const { shortest, longest, usual } = SECRET_RECOVERY_DAYS;
  secrets
    .command('delete <secret>')
    .description('from its return on nobody reads it; until its end it can be restored')
    .option('--days <n>', `${shortest} to ${longest}; default ${usual}`, wholeNumber(1))
    .option('--force', 'at once and for good')
    .action(async (reference: string, { days, force }: { days?: number; force?: boolean }, command: Command) => {
      const session = open(command);
      const body = { ...(days !== undefined && { recoveryDays: days }), ...(force && { force }) };
      session.answer(await session.admin.secrets.delete(session.tenant, await idOf(session, reference), body));
    });
  secrets
    .command('restore <secret>')
    .description('take back that it is to be deleted')
    .action(async (reference: string, _options: object, command: Command) => {
      const session = open(command);
      session.answer(await session.admin.secrets.restore(session.tenant, await idOf(session, reference)));
    });
}

interface PasswordOptions {
  readonly length: number;
  readonly exclude: string[];
  readonly excludeCharacters?: string;
  readonly space?: boolean;
  readonly anyOf?: boolean;
}

function passwords(secrets: Command, open: OpenSession): void {
  secrets
    .command('random-password')
    .description("a password of the HSM's generator to stdout, without a line break")
    .option('--length <n>', '8 to 128', wholeNumber(1), 32)
    .option('--exclude <class>', `a class: ${Object.keys(PASSWORD_CLASSES).join(', ')}; may be repeated`, several, [])
    .option('--exclude-characters <text>', 'characters that do not occur')
    .option('--space', 'spaces may occur')
    .option('--any-of', 'not necessarily one of each class')
    .addHelpText('after', '\nExample:\n  keyward secret random-password --exclude punctuation | keyward secret put shop/db\n')
    .action(async ({ length, exclude, excludeCharacters, space, anyOf }: PasswordOptions, command: Command) => {
      const session = open(command);
      const { password, ...told } = await session.admin.secrets.randomPassword(session.tenant, {
        ...{ length, excludeClasses: exclude as PasswordClass[], includeSpace: space === true, requireEachIncludedType: anyOf !== true },
        ...(excludeCharacters !== undefined && { excludeCharacters }),
      });
      if (session.json) session.answer({ ...told, password: password.toString('base64') });
      else session.terminal.out.write(password);
    });
}
