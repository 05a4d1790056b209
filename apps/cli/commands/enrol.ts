import type { Command } from 'commander';
import { refuseExisting, writeProfile } from '../credentials-file.js';
import type { OpenSession } from '../session.js';
import { UsageError } from '../exit-codes.js';
import { bytesFrom } from '../terminal.js';

interface EnrolOptions {
  readonly admin: string;
  readonly out: string;
  readonly codeFile: string;
  readonly keyPlane?: string;
  readonly dataPlane?: string;
  readonly auditor?: string;
}

/** For a tenant's first admin: the one-use code becomes a credential. */
export function enrolCommand(program: Command, open: OpenSession): void {
  program
    .command('enrol <tenant>')
    .description("turn the one-use code into the first admin's credential")
    .requiredOption('--admin <name>', 'your name in the trail')
    .requiredOption('--out <file>', 'where the credential is written, readable by you alone')
    .option('--code-file <file>', 'file with the enrolment code; - is stdin', '-')
    .option('--key-plane <url>', "address of the key plane (default: this host's)")
    .option('--data-plane <url>', 'address of the data plane, for the credential file')
    .option('--auditor <url>', 'address of the auditor, for the credential file')
    .addHelpText('after', '\nExample:\n  keyward enrol acme --admin anna --out anna.json < code\n')
    .action(async (tenant: string, options: EnrolOptions, command: Command) => {
      const session = open(command);
      refuseExisting(options.out);
      const { keyPlane, dataPlane, auditor } = options;
      const code = (await bytesFrom(session.terminal, options.codeFile)).toString('utf8').trim();
      if (code === '') throw new UsageError('There is no enrolment code in the input.');
      const { requestId, record, ...enrolled } = await session
        .adminWith({ apiKey: code }, { keyPlane, auditor })
        .enrol(tenant, { admin: options.admin });
      writeProfile(options.out, { keyPlane, dataPlane, auditor, ...enrolled, role: 'admin' });
      const { apiKey: _, ...shown } = enrolled;
      session.answer({ ...shown, credentialFile: options.out, requestId, record });
      session.say('Keep the vkey somewhere else as well: it is what the log is verified with.');
    });
}
