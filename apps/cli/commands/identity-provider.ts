import type { Command } from 'commander';
import type { OpenSession } from '../session.js';
import { listed } from './options.js';
import { type IdentityProviderRequest, identityProviderRequest } from '#contract';
import { UsageError } from '../exit-codes.js';

interface ProviderOptions {
  readonly issuer: string;
  readonly audience: string;
  readonly jwksUri: string;
  readonly algorithms: string[];
}

/** For admins: who vouches for the tenant's people. */
export function identityProviderCommands(program: Command, open: OpenSession): void {
  const provider = program.command('identity-provider').description('your own identity provider, for your admins and auditors (admins)');
  provider
    .command('set')
    .description('accept its tokens, of the people whom `credential issue --subject` names; all earlier tokens end')
    .requiredOption('--issuer <url>', 'exactly the `iss` of its tokens')
    .requiredOption('--audience <text>', 'exactly the `aud` of tokens that are meant for Keyward')
    .requiredOption('--jwks-uri <url>', 'where its public keys are')
    .option('--algorithms <list>', 'what it signs with, by commas', listed, ['RS256'])
    .addHelpText(
      'after',
      '\nExample:\n  keyward identity-provider set --issuer https://login.acme.example --audience keyward-acme --jwks-uri https://login.acme.example/jwks\n  keyward credential issue --principal anna --role admin --subject 8f2c…\n',
    )
    .action(async (options: ProviderOptions, command: Command) => {
      const session = open(command);
      session.answer(await session.admin.putIdentityProvider(session.tenant, requestOf(options)));
    });
  provider
    .command('show')
    .description('the present one')
    .action(async (_options: object, command: Command) => {
      const session = open(command);
      session.answer(await session.admin.getIdentityProvider(session.tenant));
    });
  provider
    .command('remove')
    .description('accept no tokens any more; API keys go on working')
    .action(async (_options: object, command: Command) => {
      const session = open(command);
      session.answer(await session.admin.deleteIdentityProvider(session.tenant));
    });
}

/** @throws UsageError naming the option */
function requestOf(options: ProviderOptions): IdentityProviderRequest {
  const checked = identityProviderRequest.safeParse(options);
  if (checked.success) return checked.data;
  throw new UsageError(checked.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`).join('\n  '));
}
