import type { Command } from 'commander';
import { type SimulateRequest, simulateRequest } from '#contract';
import { UsageError } from '../exit-codes.js';
import type { OpenSession } from '../session.js';
import { lines, table } from '../terminal.js';
import { contextOption, justificationIn, paged, type PageOptions, wholeNumber } from './options.js';

interface SimulateOptions {
  readonly service: string;
  readonly operation: string;
  readonly key: string;
  readonly context: Readonly<Record<string, string>>;
  readonly at?: string;
  readonly fromAddress?: string;
  readonly authMethod?: string;
  readonly justification?: SimulateRequest['justification'];
  readonly draft?: true;
  readonly policyVersion?: number;
}

/** Questions to the policy in force, which change nothing. */
export function askingCommands(policy: Command, open: OpenSession): void {
  paged(policy.command('who-can [key]').description('who may use a key, or every key; spare ones included'))
    .option('--operation <name>', 'for this alone')
    .addHelpText('after', '\nExample:\n  keyward policy who-can alias/invoices --operation Decrypt\n')
    .action(async (keyId: string | undefined, options: PageOptions & { operation?: string }, command: Command) => {
      const session = open(command);
      const page = await session.admin.whoCan(session.tenant, { ...options, ...(keyId !== undefined && { keyId }) });
      const rows = page.items.map((item) => [
        ...[item.aliases[0] ?? item.keyId, item.subject, item.operations.join(','), item.grant],
        [item.conditions || 'always', ...item.except.map((what) => `except ${what}`)].join('; '),
      ]);
      session.answer(page, table(['KEY', 'WHO', 'OPERATIONS', 'GRANT', 'WHEN'], rows));
    });
  policy
    .command('simulate')
    .description('decide one imagined request, and explain')
    .requiredOption('--service <name>', 'who asks')
    .requiredOption('--operation <name>', 'for what')
    .requiredOption('--key <key>', 'key id or alias/name')
    .addOption(contextOption())
    .option('--at <time>', 'when, RFC 3339 (default: now)')
    .option('--from-address <address>', 'from where')
    .option('--auth-method <name>', 'api-key or private-key-jwt')
    .option('--justification <code[:ticket]>', 'why', justificationIn)
    .option('--draft', 'by the draft')
    .option('--policy-version <n>', 'by this version (default: the one in force)', wholeNumber(1))
    .addHelpText(
      'after',
      '\nExample:\n  keyward policy simulate --service billing --operation Decrypt --key alias/invoices --context purpose=invoice\n',
    )
    .action(async (options: SimulateOptions, command: Command) => {
      const session = open(command);
      const answer = await session.admin.simulatePolicy(session.tenant, requestOf(options));
      session.answer(answer, lines(answer.sentences));
    });
}

/** @throws UsageError naming the option */
function requestOf({
  service,
  operation,
  key,
  context,
  at,
  fromAddress,
  authMethod,
  justification,
  draft,
  policyVersion,
}: SimulateOptions): SimulateRequest {
  const against = draft ? 'draft' : policyVersion;
  const checked = simulateRequest.safeParse({
    ...{ subject: `svc:${service}`, operation, keyId: key, encryptionContext: context },
    ...{ at, sourceAddress: fromAddress, authMethod, justification, against },
  });
  if (checked.success) return checked.data;
  throw new UsageError(checked.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`).join('\n  '));
}
