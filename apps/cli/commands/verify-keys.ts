import type { Command } from 'commander';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { environmentWith, loadBackupConfig, openDataDir, prepareSoftHsm, settingsThatAreSet, tokenEnv } from '#runtime';
import type { VerifiedKeys } from '../backup/verify-keys.js';
import { dataDirOf, type WhichPlatform, withDatabase } from '../backup/which-database.js';
import { UsageError, VerificationFailed } from '../exit-codes.js';
import type { OpenSession, Session } from '../session.js';
import { table } from '../terminal.js';

const AFTER_HELP = `
Every key version whose material is in the database is shown to the HSM, which checks its row and unwraps it under its tenant's root. Nothing of
a key leaves the program that has the PIN, and nothing is changed: run it whenever you want, beside a platform that runs too. \`keyward restore\`
ends with it; run it yourself when the HSM was restored by its vendor's tools. Exit code 6: the versions listed do not open.

Which platform: the embedded one of --data-dir, or KEYWARD_SUPERUSER_URL with the custodian's own KEYWARD_HSM_MODULE, KEYWARD_HSM_TOKEN and
KEYWARD_HSM_PIN_FILE.

Example:
  keyward verify-keys --data-dir /srv/keyward
`;

/** For operators, on the platform's host. */
export function verifyKeysCommand(program: Command, open: OpenSession): void {
  program
    .command('verify-keys')
    .description('have the HSM open every key version that the database has (operators, on its host)')
    .option('--data-dir <folder>', 'of the embedded platform (default: $KEYWARD_DATA_DIR, else the one of `npm start`)')
    .addHelpText('after', AFTER_HELP)
    .action(async (which: WhichPlatform, command: Command) => {
      const session = open(command);
      const env = await tokenOf(which);
      if (env === undefined) throw new UsageError(`Which token? ${WHICH_TOKEN}`);
      const keys = await verified(session, which, env);
      session.answer(keys, closedVersions(keys) || 'Each opens.');
      refuseClosed(session, keys);
    });
}

export const WHICH_TOKEN = "Set the custodian's KEYWARD_HSM_MODULE, KEYWARD_HSM_TOKEN and KEYWARD_HSM_PIN_FILE.";

/** What opens the token of a platform; undefined where nobody told. @throws UsageError */
export async function tokenOf(which: WhichPlatform): Promise<Record<string, string> | undefined> {
  if (loadBackupConfig().superuserUrl !== undefined)
    return settingsThatAreSet().includes('KEYWARD_HSM_PIN_FILE') ? environmentWith({}) : undefined;
  const folder = dataDirOf(which);
  if (!existsSync(join(folder, 'hsm', 'pin'))) throw new UsageError(`${folder} has no platform: there is no hsm/pin.`);
  return tokenEnv(await prepareSoftHsm({ dataDir: openDataDir(folder) }));
}

export async function verified(session: Session, which: WhichPlatform, env: Readonly<Record<string, string>>): Promise<VerifiedKeys> {
  const { verifyKeys } = await import('../backup/verify-keys.js');
  return await withDatabase(which, (superuserUrl) => verifyKeys(superuserUrl, env, session.terminal.talk));
}

export const closedVersions = ({ closed }: VerifiedKeys): string =>
  closed.length === 0
    ? ''
    : table(
        ['TENANT', 'KEY', 'VERSION', 'DOES NOT OPEN'],
        closed.map(({ tenant, keyId, versionId, problem }) => [tenant, keyId, versionId, problem]),
      );

/** @throws VerificationFailed */
export function refuseClosed(session: Session, { opened, closed }: VerifiedKeys): void {
  if (closed.length > 0) throw new VerificationFailed(`${closed.length} of ${opened + closed.length} key versions do not open.`);
  session.say(`${opened} key versions, and each opens.`);
}
