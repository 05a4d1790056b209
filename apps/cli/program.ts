import { Command, CommanderError } from 'commander';
import type { Config } from '#runtime';
import { KeywardError } from '#sdk';
import { aliasCommands } from './commands/alias.js';
import { asymmetricCommands } from './commands/asymmetric.js';
import { auditReportCommands } from './commands/audit-reports.js';
import { auditCommands } from './commands/audit.js';
import { backupCommands } from './commands/backup.js';
import { CommandEnded } from './commands/command-ended.js';
import { credentialCommands } from './commands/credential.js';
import { cryptoCommands } from './commands/crypto.js';
import { doctorCommand } from './commands/doctor.js';
import { enrolCommand } from './commands/enrol.js';
import { identityProviderCommands } from './commands/identity-provider.js';
import { importCommand } from './commands/import.js';
import { jobsCommand } from './commands/jobs.js';
import { keyCommands } from './commands/key.js';
import { logCommands } from './commands/log.js';
import { macCommands } from './commands/mac.js';
import { operationCommands } from './commands/operation.js';
import { policyCommands } from './commands/policy.js';
import { privacyCommands } from './commands/privacy.js';
import { quotaCommands } from './commands/quota.js';
import { rewrapCommands } from './commands/rewrap.js';
import { bindingKeyCommands } from './commands/binding-key.js';
import { rootCommands } from './commands/root.js';
import { runCommand } from './commands/run.js';
import { secretCommands } from './commands/secret.js';
import { secretFilesCommand } from './commands/secret-files.js';
import { serviceCommands } from './commands/service.js';
import { signatureCommands } from './commands/signature.js';
import { sinkCommands } from './commands/sink.js';
import { stopCommands } from './commands/stop.js';
import { supportBundleCommand } from './commands/support-bundle.js';
import { tenantCommands } from './commands/tenant.js';
import { upgradeCommand } from './commands/upgrade.js';
import { verifyCertificateCommand } from './commands/verify-certificate.js';
import { verifyCommand } from './commands/verify.js';
import { verifyKeysCommand } from './commands/verify-keys.js';
import { verifyReceiptCommand } from './commands/verify-receipt.js';
import { witnessCommands } from './commands/witness.js';
import { EXIT, exitCodeOf } from './exit-codes.js';
import { type OpenSession, Session } from './session.js';
import { printable, type Terminal } from './terminal.js';

const COMMAND_GROUPS: readonly ((program: Command, open: OpenSession) => void)[] = [
  tenantCommands,
  quotaCommands,
  enrolCommand,
  serviceCommands,
  credentialCommands,
  identityProviderCommands,
  keyCommands,
  importCommand,
  aliasCommands,
  secretCommands,
  rewrapCommands,
  operationCommands,
  jobsCommand,
  bindingKeyCommands,
  rootCommands,
  policyCommands,
  stopCommands,
  sinkCommands,
  privacyCommands,
  cryptoCommands,
  macCommands,
  signatureCommands,
  asymmetricCommands,
  runCommand,
  secretFilesCommand,
  doctorCommand,
  auditCommands,
  auditReportCommands,
  logCommands,
  verifyCommand,
  verifyReceiptCommand,
  verifyCertificateCommand,
  witnessCommands,
  backupCommands,
  verifyKeysCommand,
  upgradeCommand,
  supportBundleCommand,
];

const AFTER_HELP = `
Credentials come from a file that only you may read, never from the command line.
Exit codes: 0 ok, 2 usage, 3 denied, 4 conflict or not found, 5 unavailable, 6 verification failed.

Examples:
  keyward tenant onboard acme --name 'Acme Ltd'        as operator; prints the one-use enrolment code
  keyward enrol acme --admin anna --out anna.json      reads the code from stdin
  keyward key create --alias alias/invoices --credentials anna.json
  keyward records list --outcome refused --credentials auditor.json
`;

/** Runs one command line (without node and script). Answers its exit code; never throws. */
export async function runCli(argv: readonly string[], terminal: Terminal, config: () => Config): Promise<number> {
  const program = keyward(terminal, (command) => new Session(command, terminal, config()));
  try {
    await program.parseAsync(argv, { from: 'user' });
    return EXIT.ok;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage; // it has said so itself
    if (error instanceof CommandEnded) return error.exitCode;
    terminal.talk.write(`keyward: ${told(error)}\n`);
    return exitCodeOf(error);
  }
}

function keyward(terminal: Terminal, open: OpenSession): Command {
  const program = new Command('keyward')
    .description('Custody of keys: tenants, keys, grants, stops and the trail that tells of all of them.')
    .option('--json', 'answer as JSON on stdout')
    .option('--credentials <file>', 'the credential to use (default: $KEYWARD_CREDENTIALS_FILE, else the one of `npm start`)')
    .option('--tenant <name>', 'the tenant (default: the one of the credential)')
    .exitOverride()
    .configureOutput({ writeOut: (text) => terminal.out.write(text), writeErr: (text) => terminal.talk.write(text) })
    .configureHelp({ showGlobalOptions: true })
    .showHelpAfterError('(add --help for what there is)')
    .addHelpText('after', AFTER_HELP);
  for (const add of COMMAND_GROUPS) add(program, open);
  return program;
}

/** What a person may read of an error: ours in full, of an unexpected one only its message. */
function told(error: unknown): string {
  if (!(error instanceof Error)) return 'something went wrong.';
  if (!(error instanceof KeywardError)) return printable(error.message);
  const wrongFields = error.fields.map(({ field, message }) => `\n  ${printable(field)}: ${printable(message)}`);
  const record = error.record === undefined ? '' : `, record ${error.record}`;
  const request = error.requestId === undefined ? '' : ` (${error.code}, request ${printable(error.requestId)}${record})`;
  return `${printable(error.message)}${request}${wrongFields.join('')}`;
}
