import type { Command } from 'commander';
import { policyDocument } from '#contract';
import { NotFound } from '#sdk';
import { UsageError } from '../exit-codes.js';
import type { OpenSession, Session } from '../session.js';
import { bytesFrom } from '../terminal.js';
import { wholeNumber } from './options.js';

/** For admins: which service may use which key for what. */
export function policyCommands(program: Command, open: OpenSession): void {
  const policy = program.command('policy').description('who may do what with which key (admins)');
  policy
    .command('get')
    .description('the policy in force: its document, or with --json also version, digest and author')
    .action(async (_options: object, command: Command) => {
      const session = open(command);
      const answer = await session.admin.getPolicy(session.tenant);
      session.answer(answer, JSON.stringify(answer.document, undefined, 2));
      session.say(`Version ${answer.version} of ${answer.author}, ${answer.publishedAt}; SHA-256 ${answer.digest}.`);
    });
  policy
    .command('put <file>')
    .description('publish a policy document; - is stdin')
    .option('--replaces <version>', 'refuse unless this version is in force (default: whatever is in force now; 0: none)', wholeNumber(0))
    .addHelpText('after', '\nExample:\n  keyward policy put policy.json --replaces 3\n')
    .action(async (file: string, { replaces }: { replaces?: number }, command: Command) => {
      const session = open(command);
      const document = documentIn((await bytesFrom(session.terminal, file)).toString('utf8'));
      const { document: _, ...answer } = await session.admin.putPolicy(
        session.tenant,
        document,
        replaces ?? (await versionInForce(session)),
      );
      session.answer(answer);
    });
}

/** Checked here as the server does, so that a mistake is told with its place before anything is sent. */
function documentIn(text: string) {
  const checked = policyDocument.safeParse(parsed(text));
  if (checked.success) return checked.data;
  const mistakes = checked.error.issues.map(({ path, message }) => `\n  ${path.join('.') || 'document'}: ${message}`);
  throw new UsageError(`This is not a policy:${mistakes.join('')}`);
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new UsageError('The policy is not JSON.');
  }
}

async function versionInForce(session: Session): Promise<number> {
  try {
    return (await session.admin.getPolicy(session.tenant)).version;
  } catch (error) {
    if (error instanceof NotFound) return 0;
    throw error;
  }
}
