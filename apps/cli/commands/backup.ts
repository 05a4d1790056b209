import type { Command } from 'commander';
import { readFileSync } from 'node:fs';
import { loadBackupConfig } from '#runtime';
import { identityFrom, recipientFrom } from '../backup/archive.js';
import { type Places, placesIn } from '../backup/places.js';
import { dataDirOf, type WhichPlatform, withDatabase } from '../backup/which-database.js';
import { UsageError } from '../exit-codes.js';
import type { OpenSession, Session } from '../session.js';
import { table } from '../terminal.js';
import { several } from './options.js';
import { closedVersions, refuseClosed, tokenOf, verified, WHICH_TOKEN } from './verify-keys.js';

const HELP_BACKUP = `
Two archives of one instant, of which one alone is worth nothing: the rows, with every key wrapped; and what unwraps them, the HSM's token,
with the custodian's memory, the pepper and the worker's key. In neither: the HSM's PIN, the password of anybody, the first credential.
Keep the PIN apart, and the two archives with different people. The platform goes on meanwhile.

The keys that open them, made once, on another machine:
  openssl genpkey -algorithm X25519 -aes256 -out backup.key && openssl pkey -in backup.key -pubout -out backup.pub

Which database: the one of --data-dir, or of KEYWARD_SUPERUSER_URL. What is printed is read by \`sha256sum --check\`: keep it apart too.

Examples:
  keyward backup --database rows.kwb --custody custody.kwb --recipient backup.pub > sums
  keyward backup --database rows.kwb --recipient dba.pub --custody custody.kwb --custody-recipient officer.pub
`;
const HELP_RESTORE = `
Both archives are read to their last byte before anything is written, and the rows must be of every tenant that custody knows. Then: the token
and the custodian's memory into folders that are empty; roles and tables from this version's own migrations, and the rows, all or none; every
record of every log is hashed anew and compared with the newest checkpoint, its signature, and what the custodian remembers; and the HSM opens
every key version, of which nothing leaves it (exit code 6 and a list of those that do not open; what was restored stays). Start the platform
afterwards as ever: the key plane first destroys again what was destroyed since (--newer-state). Tenants whose log went back are stopped by
then, until their admins lift that.

Examples:
  keyward restore --check --database rows.kwb --custody custody.kwb --identity backup.key
  keyward restore --database rows.kwb --custody custody.kwb --identity backup.key --pin pin --data-dir /srv/keyward
`;

interface PlaceOptions extends WhichPlatform {
  /** False: `--no-token`. */
  readonly token: string | boolean;
  readonly state?: string;
  readonly pepper?: string;
  readonly workerKey?: string;
}
interface BackupOptions extends PlaceOptions {
  readonly database?: string;
  readonly custody?: string;
  readonly recipient: readonly string[];
  readonly custodyRecipient: readonly string[];
}

/** For operators, on the platform's host. */
export function backupCommands(program: Command, open: OpenSession): void {
  placed(program.command('backup').description('write the two archives that a platform is restored from (operators, on its host)'))
    .option('--database <file>', 'the archive of the rows')
    .option('--custody <file>', "the archive of the token and the custodian's memory")
    .option('--recipient <file>', 'a public key that opens them, PEM, X25519 or P-256; once or twice', several, [])
    .option('--custody-recipient <file>', 'for the archive of the custody instead', several, [])
    .addHelpText('after', HELP_BACKUP)
    .action(async (options: BackupOptions, command: Command) => runBackup(open(command), options));

  placed(program.command('restore').description('restore a platform from its two archives, into an empty place (operators)'))
    .requiredOption('--database <file>', 'the archive of the rows')
    .requiredOption('--custody <file>', "the archive of the token and the custodian's memory")
    .requiredOption('--identity <file>', 'a private key that opens them, PEM; repeated: where they have two', several, [])
    .option('--passphrase-file <file>', 'of the private keys')
    .option('--pin <file>', "the HSM's PIN, for the embedded platform")
    .option('--first-credential <file>', "the operator's credentials.json, for the embedded platform")
    .option(
      '--newer-state <folder>',
      "the custodian's memory, where that outlived what is restored: what it knows to be destroyed is destroyed again",
    )
    .option('--without <tenant>', 'it was onboarded after the archive of the rows, and may be lost; repeated', several, [])
    .option('--no-verify', 'do not have the HSM open every key version at the end (`keyward verify-keys` does it later)')
    .option('--check', 'only read both archives to their last byte, and whether they fit')
    .addHelpText('after', HELP_RESTORE)
    .action(async (options: RestoreOptions, command: Command) => runRestore(open(command), options));
}

const placed = (command: Command): Command =>
  command
    .option('--data-dir <folder>', 'of the embedded platform (default: $KEYWARD_DATA_DIR, else the one of `npm start`)')
    .option('--token <folder>', "SoftHSM's tokens")
    .option('--no-token', 'the HSM has a backup of its own')
    .option('--state <folder>', "the custodian's memory ($KEYWARD_CUSTODIAN_STATE_DIR of the custodian)")
    .option('--pepper <file>', 'the pepper')
    .option('--worker-key <file>', "the worker's private key");

async function runBackup(session: Session, options: BackupOptions): Promise<void> {
  const { database, custody, recipient, custodyRecipient } = options;
  if (database === undefined && custody === undefined)
    throw new UsageError('What is to be saved? --database FILE, --custody FILE, or both.');
  const rows = recipientsOf('--recipient', recipient);
  const apart = custodyRecipient.length > 0 ? recipientsOf('--custody-recipient', custodyRecipient) : rows;
  const { backUp } = await import('../backup/back-up.js');
  const archives = await withDatabase(options, async (superuserUrl) =>
    backUp({
      ...{ superuserUrl, places: placesOf(options), talk: session.terminal.talk },
      database: database === undefined ? undefined : { file: database, recipients: rows },
      custody: custody === undefined ? undefined : { file: custody, recipients: apart },
    }),
  );
  const sums = archives.map(({ sha256, file }) => `${sha256}  ${file}`).join('\n');
  session.answer(archives, sums);
  session.say(
    `Saved as of ${archives[0]!.taken}. In neither archive, to be kept apart from both: the HSM's PIN, and the first credential.`,
  );
}

/** An archive has a key and its spare. */
function recipientsOf(option: string, files: readonly string[]): readonly Uint8Array[] {
  if (files.length < 1 || files.length > 2) throw new UsageError(`${option} FILE once or twice: whose key opens the archive?`);
  return files.map(recipientFrom);
}

interface RestoreOptions extends PlaceOptions {
  readonly database: string;
  readonly custody: string;
  readonly identity: readonly string[];
  readonly passphraseFile?: string;
  readonly pin?: string;
  readonly firstCredential?: string;
  readonly newerState?: string;
  readonly without: readonly string[];
  readonly verify: boolean;
  readonly check?: true;
}

async function runRestore(session: Session, options: RestoreOptions): Promise<void> {
  const begun = performance.now();
  const passphrase = options.passphraseFile === undefined ? undefined : readFileSync(options.passphraseFile, 'utf8').trimEnd();
  const identities = options.identity.map((file) => identityFrom(file, passphrase));
  const archives = {
    ...{ database: options.database, custody: options.custody, identities, talk: session.terminal.talk },
    ...{ newerState: options.newerState, without: options.without },
  };
  const { checkArchives } = await import('../backup/restore.js');
  const checked = await checkArchives(archives);
  const { database, custody } = checked;
  session.say(`The archives are whole: ${database.rows} rows as of ${database.taken}, ${custody.files} files as of ${custody.taken}.`);
  if (database.pair !== custody.pair) session.say('They are of two runs; the token has what the rows need.');
  if (options.check) return session.answer(checked, 'Nothing was restored.');
  const { restoreInto } = await import('../backup/restore-into.js');
  const trails = await restoreInto(archives, {
    ...{ dataDir: dataDirOf(options), places: placesOf(options), config: loadBackupConfig() },
    ...{ pin: options.pin, firstCredential: options.firstCredential },
    onChecked: ({ tenant, records, signed }) => session.say(`${tenant}: ${records} records, the first ${signed} as they were signed`),
  });
  const rows = trails.map(({ tenant, records, signed, wentBackFrom }) => [
    ...[tenant, records, signed],
    wentBackFrom === undefined ? 'as signed' : `${wentBackFrom} were signed: comes up stopped`,
  ]);
  session.say(`Restored in ${((performance.now() - begun) / 1000).toFixed(1)} s. Start the platform when you have read what follows.`);
  const keys = await verifiedAfter(session, options);
  const text = [table(['TENANT', 'RECORDS', 'SIGNED', 'TRAIL'], rows), keys && closedVersions(keys)];
  session.answer({ trails, ...(keys && { keys }) }, text.filter(Boolean).join('\n'));
  if (keys !== undefined) refuseClosed(session, keys);
}

async function verifiedAfter(session: Session, options: RestoreOptions) {
  if (!options.verify) return undefined;
  const token = options.token === false ? undefined : await tokenOf(options);
  if (token !== undefined) return await verified(session, options, token);
  session.say(`Whether keys open was not tried. ${WHICH_TOKEN} Then: keyward verify-keys`);
  return undefined;
}

function placesOf(options: PlaceOptions): Places {
  const { token, state, pepper, workerKey } = placesIn(dataDirOf(options));
  return {
    token: options.token === false ? undefined : typeof options.token === 'string' ? options.token : token,
    ...{ state: options.state ?? state, pepper: options.pepper ?? pepper, workerKey: options.workerKey ?? workerKey },
  };
}
