import type { Command } from 'commander';
import { defaultDataDir, loadBackupConfig, loadConfig, withEmbeddedDatabase } from '#runtime';
import type { OpenSession } from '../session.js';

const AFTER_HELP = `
Migrations run with old and new code beside each other: upgrade the database first, then the processes, one after the other. Back up before.
With --dry-run all of it is carried out in one transaction, which is rolled back: it says what would fail, and how long tables are held.

Which database: the one of --data-dir, or of KEYWARD_SUPERUSER_URL.

Example:
  keyward upgrade --dry-run && keyward upgrade
`;

/** For operators, on the platform's host. */
export function upgradeCommand(program: Command, open: OpenSession): void {
  program
    .command('upgrade')
    .description("bring the database to this version's schema (operators, on its host)")
    .option('--dry-run', 'try it, and leave everything as it was')
    .option('--data-dir <folder>', 'of the embedded platform (default: $KEYWARD_DATA_DIR, else the one of `npm start`)')
    .addHelpText('after', AFTER_HELP)
    .action(async ({ dryRun = false, dataDir }: { dryRun?: boolean; dataDir?: string }, command: Command) => {
      const session = open(command);
      const [{ upgradeDatabase }, { MIGRATIONS }] = await Promise.all([
        import('#persistence/backup'),
        import('../../../migrations/index.js'),
      ]);
      const upgrade = (superuserUrl: string) => upgradeDatabase(superuserUrl, MIGRATIONS, dryRun);
      const { superuserUrl } = loadBackupConfig();
      const folder = dataDir ?? loadConfig('cli').dataDir ?? defaultDataDir();
      const done = superuserUrl === undefined ? await withEmbeddedDatabase(folder, upgrade) : await upgrade(superuserUrl);
      session.answer({ ...done, dryRun }, done.pending.join('\n') || 'The database is of this version already.');
      if (done.pending.length > 0)
        session.say(
          `${done.pending.length} migrations ${dryRun ? 'would be' : 'were'} carried out, in ${(done.tookMs / 1000).toFixed(1)} s.`,
        );
    });
}
