import type { Command } from 'commander';
import { ROTATION_DAYS } from '#contract';
import type { OpenSession } from '../session.js';
import { table } from '../terminal.js';
import { paged, type PageOptions, wholeNumber } from './options.js';

interface Replacing {
  readonly replaces?: number;
}

const { shortest, longest } = ROTATION_DAYS;

/** `key rotation …`: how often a key is rotated without anybody's asking. */
export function rotationCommands(key: Command, open: OpenSession): void {
  const rotation = key.command('rotation').description('how often a key is rotated by itself');
  rotation
    .command('show <key>')
    .description('whether it is, when next, and what suspends it')
    .action(async (keyId: string, _options: object, command: Command) => {
      const session = open(command);
      session.answer(await session.admin.keyRotation(session.tenant, keyId));
    });
  paged(rotation.command('calendar').description('what comes by the clock: rotations, deletions, expiries')).action(
    async (options: PageOptions, command: Command) => {
      const session = open(command);
      const page = await session.admin.listCalendar(session.tenant, options);
      const rows = page.items.map((item) => [item.at, item.event, item.keyId ?? item.credentialId, item.keyState ?? item.principal]);
      session.answer(page, table(['AT', 'EVENT', 'KEY OR CREDENTIAL', 'STATE OR PERSON'], rows));
    },
  );
  const changing = (usage: string, description: string) =>
    rotation
      .command(usage)
      .description(description)
      .option('--replaces <version>', 'the version you have read; default: the present one', wholeNumber(0));
  const put = async (keyId: string, intervalDays: number | undefined, { replaces }: Replacing, command: Command) => {
    const session = open(command);
    const { admin, tenant } = session;
    const version = replaces ?? (await admin.keyRotation(tenant, keyId)).version;
    const body = intervalDays === undefined ? { enabled: false } : { enabled: true, intervalDays };
    session.answer(await admin.putKeyRotation(tenant, keyId, body, version));
  };
  changing('set <key>', 'a new version by itself; where that is past already, at once')
    .requiredOption('--every <days>', `${shortest} to ${longest}, from one version to the next`, wholeNumber(1))
    .addHelpText('after', '\nExample:\n  keyward key rotation set key_01… --every 90\n')
    .action((keyId: string, { every, ...options }: Replacing & { every: number }, command: Command) => put(keyId, every, options, command));
  changing('off <key>', 'only when it is asked for').action((keyId: string, options: Replacing, command: Command) =>
    put(keyId, undefined, options, command),
  );
}
