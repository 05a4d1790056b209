import type { Command } from 'commander';
import type { OpenSession } from '../session.js';
import { table } from '../terminal.js';

const AFTER_HELP = `
Admins see what fails of their tenant's; operators also how many rows fail of all tenants', and what was done.

Example:
  keyward jobs --credentials anna.json
  keyward jobs --tenant platform --json
`;

/** For admins and operators: what the platform does by the clock. */
export function jobsCommand(program: Command, open: OpenSession): void {
  program
    .command('jobs')
    .description('what is done by the clock: last look, next look, and what fails (admins, operators)')
    .addHelpText('after', AFTER_HELP)
    .action(async (_options: object, command: Command) => {
      const session = open(command);
      const jobs = await session.admin.listJobs(session.tenant);
      const rows = jobs.items.flatMap(({ kind, lookedAt, nextAt, failing, failures }) => [
        [kind, lookedAt, nextAt, String(failing), ''],
        ...failures.map(({ subject, nextAttemptAt, lastError, failures: times }) => [
          `  ${subject}`,
          '',
          nextAttemptAt,
          `${times}×`,
          lastError,
        ]),
      ]);
      session.answer(jobs, table(['KIND', 'LOOKED', 'NEXT', 'FAILING', 'ERROR'], rows));
    });
}
