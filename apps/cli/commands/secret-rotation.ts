import { type Command, Option } from 'commander';
import { SECRET_OVERLAP_MINUTES, SECRET_ROTATION_HOURS, SECRET_TARGETS } from '#contract';
import type { OpenSession } from '../session.js';
import { pair, several, wholeNumber } from './options.js';
import { idOf } from './secret-id.js';

interface PolicyOptions {
  readonly target: (typeof SECRET_TARGETS)[number];
  readonly every?: number;
  readonly connection?: string;
  readonly overlap?: number;
  readonly option: string[];
}

/** `secret rotation …` and `secret rotate`: how a secret gets its next value. */
export function secretRotationCommands(secrets: Command, open: OpenSession): void {
  const { shortest, longest } = SECRET_ROTATION_HOURS;
  const overlap = SECRET_OVERLAP_MINUTES;
  const rotation = secrets.command('rotation').description('how, and how often, a secret is rotated');
  rotation
    .command('set <secret>')
    .description('rotate it by this policy')
    .addOption(new Option('--target <target>', 'what takes the new value').choices(SECRET_TARGETS).makeOptionMandatory())
    .option('--every <hours>', `${shortest} to ${longest}; without it only when asked`, wholeNumber(1))
    .option('--connection <secret>', 'the secret by which the target is reached')
    .option('--overlap <minutes>', `${overlap.shortest} to ${overlap.longest}: for how long the old value is good, too`, wholeNumber(1))
    .option('--option <name=value>', "the target's own; may be repeated", several, [])
    .addHelpText('after', '\nExample:\n  keyward secret rotation set shop/token --target schedule --every 720\n')
    .action(async (reference: string, { target, every, connection, overlap: minutes, option }: PolicyOptions, command: Command) => {
      const session = open(command);
      const policy = {
        ...{ target, ...(every !== undefined && { intervalHours: every }), ...(minutes !== undefined && { overlapMinutes: minutes }) },
        ...(connection !== undefined && { connectionSecret: await idOf(session, connection) }),
        ...(option.length > 0 && { options: Object.fromEntries(option.map(pair)) }),
      };
      session.answer(await session.admin.secrets.setRotation(session.tenant, await idOf(session, reference), policy));
    });
  rotation
    .command('show <secret>')
    .description('its policy, how it stands, and when it is next')
    .action(async (reference: string, _options: object, command: Command) => {
      const session = open(command);
      const { secretId, name, rotation: present } = await session.admin.secrets.describe(session.tenant, reference);
      session.answer({ secretId, name, rotation: present ?? null });
    });
  rotation
    .command('off <secret>')
    .description('rotate it no more')
    .action(async (reference: string, _options: object, command: Command) => {
      const session = open(command);
      session.answer(await session.admin.secrets.setRotation(session.tenant, await idOf(session, reference), null));
    });
  secrets
    .command('rotate <secret>')
    .description('rotate it now; also what was tried in vain')
    .action(async (reference: string, _options: object, command: Command) => {
      const session = open(command);
      session.answer(await session.admin.secrets.rotate(session.tenant, await idOf(session, reference)));
    });
}
