import { type Command, Option } from 'commander';
import { KEY_ORIGINS, KEY_SPECS, type KeyOrigin, type KeySpec, type KeyState, type KeyUsage } from '#contract';
import { UsageError } from '../exit-codes.js';
import type { OpenSession, Session } from '../session.js';
import { printable, table } from '../terminal.js';
import { listed, pair, paged, type PageOptions, wholeNumber } from './options.js';
import { rotationCommands } from './rotation.js';

interface KeyFilter extends PageOptions {
  readonly state?: KeyState;
  readonly tag?: string;
}

interface NewKey {
  readonly spec?: KeySpec;
  readonly usage?: KeyUsage;
  readonly origin?: KeyOrigin;
  readonly alias?: string;
  readonly service?: string;
  readonly description: string;
}

export interface Meant {
  readonly service?: string;
}

export const meant = (command: Command): Command =>
  command.option('--service <service>', 'of a key that is kept for a service: its name, to say that this key is meant');

/** For admins: their tenant's master keys. */
export function keyCommands(program: Command, open: OpenSession): void {
  program
    .command('capabilities')
    .description('what the connected HSM can do, as it was tried at its start (admins)')
    .action(async (_options: object, command: Command) => {
      const session = open(command);
      const answer = await session.admin.describeCapabilities(session.tenant);
      const yes = (available: boolean) => (available ? 'yes' : 'no');
      const specs = answer.specs.map((one) => [one.keySpec, one.keyUsages.join(' '), one.protectionLevel, yes(one.available), one.reason]);
      const algorithms = answer.algorithms.map((one) => [
        one.algorithm,
        '',
        one.inMemory ? 'in memory' : '',
        yes(one.available),
        one.reason,
      ]);
      session.answer(
        answer,
        `${printable(answer.module)} (${answer.protectionLevel})\n${table(['SPEC OR ALGORITHM', 'USAGE', 'PROTECTION', 'AVAILABLE', 'WHY NOT'], [...specs, ...algorithms])}`,
      );
    });
  const key = program.command('key').description("a tenant's master keys (admins)");
  key
    .command('create')
    .description('make a key inside the HSM')
    .option('--alias <alias>', 'a first name for it, as alias/invoices')
    .option('--service <service>', 'keep it for this service: alias/acs/<service>, not disabled or ended by mistake')
    .option('--spec <spec>', `one of ${KEY_SPECS.join(', ')}`)
    .addOption(new Option('--usage <usage>', 'for RSA keys: what for').choices(['SIGN_VERIFY', 'ENCRYPT_DECRYPT']))
    .addOption(new Option('--origin <origin>', 'EXTERNAL: its material will be imported').choices(KEY_ORIGINS))
    .option('--description <text>', 'what it is for', '')
    .addHelpText('after', '\nExample:\n  keyward key create --alias alias/invoices\n')
    .action(async ({ spec: keySpec, usage: keyUsage, ...body }: NewKey, command: Command) => {
      const session = open(command);
      session.answer(
        await session.admin.createKey(session.tenant, { ...body, ...(keySpec && { keySpec }), ...(keyUsage && { keyUsage }) }),
      );
    });
  paged(key.command('list').description('all keys'))
    .option('--state <state>', 'only those in this state, as PendingDeletion')
    .option('--tag <name=value>', 'only those with this tag')
    .action(async (filter: KeyFilter, command: Command) => {
      const session = open(command);
      const page = await session.admin.listKeys(session.tenant, filter);
      const rows = page.items.map((item) => [item.keyId, item.state, item.protectionLevel, item.aliases.join(' '), item.description]);
      session.answer(page, table(['KEY', 'STATE', 'PROTECTION', 'ALIASES', 'DESCRIPTION'], rows));
    });
  const one = (usage: string, description: string, call: (session: Session, keyId: string, ...words: string[]) => Promise<object>) =>
    key
      .command(usage)
      .description(description)
      .action(async (...given: unknown[]) => {
        const self = given.at(-1) as Command;
        const [keyId = '', ...words] = self.args;
        const session = open(self);
        session.answer(await call(session, keyId, ...words));
      });
  one('describe <key>', 'everything about one key but itself', (to, keyId) => to.admin.describeKey(to.tenant, keyId));
  key
    .command('usage <key>')
    .description('what breaks if it is disabled: who uses it, how much, when last, and what they may still hold')
    .addHelpText('after', '\nExample:\n  keyward key usage key_01…\n')
    .action(async (keyId: string, _options: object, command: Command) => {
      const session = open(command);
      const usage = await session.admin.describeKeyUsage(session.tenant, keyId);
      const rows = usage.services.flatMap(({ service, operations, leases }) =>
        operations.map((one) => [
          ...[service, one.operation, one.versionId, one.firstUse, one.lastUse],
          ...[one.uses, one.usesLately, one.refusedLately, leases.count],
        ]),
      );
      const columns = ['SERVICE', 'OPERATION', 'VERSION', 'FIRST', 'LAST', 'USES', '30 DAYS', 'REFUSED', 'HELD'];
      session.answer(usage, [...usage.sentences, table(columns, rows)].join('\n'));
    });
  one('enable <key>', 'let a disabled key be used again', (to, keyId) => to.admin.enableKey(to.tenant, keyId));
  meant(key.command('disable <key>').description('from its return on no replica uses the key')).action(
    async (keyId: string, body: Meant, command: Command) => {
      const session = open(command);
      session.answer(await session.admin.disableKey(session.tenant, keyId, body));
    },
  );
  key
    .command('rotate <key>')
    .description('make a new version, which is primary; older ones go on opening what they sealed')
    .option('--reason <text>', 'why, for the trail; a key pair needs one within 7 days of its newest version')
    .action(async (keyId: string, body: { reason?: string }, command: Command) => {
      const session = open(command);
      session.answer(await session.admin.createKeyVersion(session.tenant, keyId, body));
    });
  rotationCommands(key, open);
  paged(key.command('versions <key>').description('all versions of a key')).action(
    async (keyId: string, options: PageOptions, command: Command) => {
      const session = open(command);
      const page = await session.admin.listKeyVersions(session.tenant, keyId, options);
      const rows = page.items.map((item) => [item.keyVersionId, item.primary ? 'primary' : '', item.protectionLevel, item.createdAt]);
      session.answer(page, table(['VERSION', '', 'PROTECTION', 'CREATED'], rows));
    },
  );
  one('public-key <key>', 'the public key of a key pair', (to, keyId) => to.admin.describePublicKey(to.tenant, keyId));
  one('set-description <key> <text>', 'say what it is for', (to, keyId, text = '') => to.admin.setKeyDescription(to.tenant, keyId, text));
  one('tag <key> <name=value...>', 'add tags, or change their values', (to, keyId, ...tags) =>
    to.admin.tagKey(to.tenant, keyId, Object.fromEntries(tags.map(pair))),
  );
  one('untag <key> <names>', 'take tags away, several by commas', (to, keyId, names = '') =>
    to.admin.untagKey(to.tenant, keyId, listed(names)),
  );
  one('protect <key>', 'deletion cannot be scheduled', (to, keyId) => to.admin.setDeletionProtection(to.tenant, keyId, true));
  meant(key.command('unprotect <key>').description('deletion can be scheduled')).action(
    async (keyId: string, { service }: Meant, command: Command) => {
      const session = open(command);
      session.answer(await session.admin.setDeletionProtection(session.tenant, keyId, false, service));
    },
  );
  meant(key.command('schedule-deletion <key>'))
    .description('nothing can be done with the key from now on; until its end it can be cancelled')
    .option('--days <n>', '7 to 366', wholeNumber(1), 30)
    .action(async (keyId: string, { days: pendingDays, ...body }: { days: number } & Meant, command: Command) => {
      const session = open(command);
      session.answer(await session.admin.scheduleKeyDeletion(session.tenant, keyId, { pendingDays, ...body }));
    });
  key
    .command('shredding-receipt <key>')
    .description('the signed statement that a key was destroyed, and when that is final (admins, auditors)')
    .addHelpText(
      'after',
      '\nExample:\n  keyward key shredding-receipt key_… > receipt; keyward verify-receipt receipt --credentials anna.json\n',
    )
    .action(async (keyId: string, _options: object, command: Command) => {
      const session = open(command);
      const { admin, tenant, credentials } = session;
      const answer = await (credentials.role === 'auditor'
        ? admin.readShreddingReceipt(tenant, keyId)
        : admin.shreddingReceipt(tenant, keyId));
      if (answer.receipt === undefined && !session.json)
        throw new UsageError(`${keyId} is destroyed; its receipt is not signed yet. Try again.`);
      if (session.json) session.answer(answer);
      else session.terminal.out.write(answer.receipt ?? '');
    });
  one('delete-material <key>', 'imported material goes; the key waits until the same is imported again', (to, keyId) =>
    to.admin.deleteImportedKeyMaterial(to.tenant, keyId),
  );
  one('cancel-deletion <key>', 'the key is again as it was before', (to, keyId) => to.admin.cancelKeyDeletion(to.tenant, keyId));
}
