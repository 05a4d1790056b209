import type { Command } from 'commander';
import { type SimulateRequest, simulateRequest } from '#contract';
import { UsageError } from '../exit-codes.js';
import type { OpenSession } from '../session.js';
import { lines, table } from '../terminal.js';
import { contextOption, justificationIn, paged, type PageOptions, wholeNumber } from './options.js';

interface SimulateOptions {
  readonly service: string;
  readonly operation: string;
  readonly key?: string;
  readonly secret?: string;
  readonly context: Readonly<Record<string, string>>;
  readonly at?: string;
  readonly fromAddress?: string;
  readonly authMethod?: string;
  readonly justification?: SimulateRequest['justification'];
  readonly draft?: true;
  readonly policyVersion?: number;
}

interface WhoCanOptions extends PageOptions {
  readonly secret?: string;
  readonly operation?: string;
}

/** Questions to the policy in force, which change nothing. */
export function askingCommands(policy: Command, open: OpenSession): void {
  paged(policy.command('who-can [key]').description('who may use a key, or every key, spare ones included; or a secret'))
    .option('--secret <name>', 'this secret, by its name or id, and what its key has to do with it')
    .option('--operation <name>', 'for this alone')
    .addHelpText(
      'after',
      '\nExample:\n  keyward policy who-can alias/invoices --operation Decrypt\n  keyward policy who-can --secret shop/db --operation GetSecretValue\n',
    )
    .action(async (keyId: string | undefined, { secret, ...options }: WhoCanOptions, command: Command) => {
      const session = open(command);
      const names = { ...(keyId !== undefined && { keyId }), ...(secret !== undefined && { secretId: secret }) };
      const page = await session.admin.whoCan(session.tenant, { ...options, ...names });
      const rows = page.items.map((item) => [
        ...[item.secret?.name ?? item.aliases[0] ?? item.keyId, item.subject, item.operations.join(','), item.grant],
        [item.conditions || 'always', ...item.except.map((what) => `except ${what}`)].join('; '),
      ]);
      session.answer(page, table([secret === undefined ? 'KEY' : 'SECRET', 'WHO', 'OPERATIONS', 'GRANT', 'WHEN'], rows));
    });
  policy
    .command('simulate')
    .description('decide one imagined request, and explain')
    .requiredOption('--service <name>', 'who asks')
    .requiredOption('--operation <name>', 'for what')
    .option('--key <key>', 'with which: key id or alias/name')
    .option('--secret <name>', 'of an operation about a secret: its name or id')
    .addOption(contextOption())
    .option('--at <time>', 'when, RFC 3339 (default: now)')
    .option('--from-address <address>', 'from where')
    .option('--auth-method <name>', 'api-key or private-key-jwt')
    .option('--justification <code[:ticket]>', 'why', justificationIn)
    .option('--draft', 'by the draft')
    .option('--policy-version <n>', 'by this version (default: the one in force)', wholeNumber(1))
    .addHelpText(
      'after',
      '\nExample:\n  keyward policy simulate --service billing --operation Decrypt --key alias/invoices --context purpose=invoice\n  keyward policy simulate --service billing --operation GetSecretValue --secret shop/db\n',
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
  secret,
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
    ...{ subject: `svc:${service}`, operation, keyId: key, secretId: secret },
    ...(Object.keys(context).length > 0 && { encryptionContext: context }),
    ...{ at, sourceAddress: fromAddress, authMethod, justification, against },
  });
  if (checked.success) return checked.data;
  throw new UsageError(checked.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`).join('\n  '));
}
