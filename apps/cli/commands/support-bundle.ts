import type { Command } from 'commander';
import { writeFileSync } from 'node:fs';
import { defaultDataDir, loadBackupConfig, loadConfig, withEmbeddedDatabase } from '#runtime';
import { refuseExisting } from '../credentials-file.js';
import { UsageError } from '../exit-codes.js';
import type { OpenSession, Session } from '../session.js';
import { knownSecrets, refuseSecrets } from '../support/known-secrets.js';

const AFTER_HELP = `
One JSON file: versions, names of the settings that are set, sizes of tables, readiness, and the last lines of each log. What looks like a
secret is removed; then the file is compared with every secret in its directory and settings, and not written if one of them is in it.
Tenants' names may be in the logs: read it before you send it.

Example:
  keyward support-bundle --out support.json && less support.json
`;

/** For operators, on the platform's host. */
export function supportBundleCommand(program: Command, open: OpenSession): void {
  program
    .command('support-bundle')
    .description('write what somebody who helps you needs to know, without secrets (operators, on its host)')
    .requiredOption('--out <file>', 'the file to write')
    .option('--data-dir <folder>', 'of the embedded platform (default: $KEYWARD_DATA_DIR, else the one of `npm start`)')
    .addHelpText('after', AFTER_HELP)
    .action(async ({ out, dataDir }: { out: string; dataDir?: string }, command: Command) => {
      const session = open(command);
      refuseExisting(out);
      const folder = dataDir ?? loadConfig('cli').dataDir ?? defaultDataDir();
      const { supportBundle } = await import('../support/bundle.js');
      const planes = addressesOf(session);
      const make = (superuserUrl: string) => supportBundle({ dataDir: folder, superuserUrl, planes });
      const { superuserUrl } = loadBackupConfig();
      const text = superuserUrl === undefined ? await withEmbeddedDatabase(folder, make) : await make(superuserUrl);
      refuseSecrets(text, knownSecrets(folder));
      writeFileSync(out, text, { mode: 0o600, flag: 'wx' });
      session.answer({ out, bytes: text.length }, out);
      session.say('Read it before you send it: names of tenants may be in the logs.');
    });
}

/** Those of the operator's file; where there is none, the documented ones. */
function addressesOf(session: Session) {
  try {
    const { keyPlane, dataPlane, auditor } = session.credentials;
    return {
      ...(keyPlane !== undefined && { keyPlane }),
      ...(dataPlane !== undefined && { dataPlane }),
      ...(auditor !== undefined && { auditor }),
    };
  } catch (error) {
    if (error instanceof UsageError) return {};
    throw error;
  }
}
