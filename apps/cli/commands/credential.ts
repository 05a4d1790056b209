import { readFileSync } from 'node:fs';
import { type Command, Option } from 'commander';
import { type ServicePublicKey, servicePublicKey } from '#contract';
import { refuseExisting, writeProfile } from '../credentials-file.js';
import { UsageError } from '../exit-codes.js';
import type { OpenSession, Session } from '../session.js';
import { table } from '../terminal.js';
import { paged, type PageOptions, wholeNumber } from './options.js';

interface OfService {
  readonly service?: string;
}
interface IssueOptions extends OfService {
  readonly principal?: string;
  readonly role?: 'admin' | 'auditor';
  readonly expiresInDays: number;
  readonly out?: string;
  readonly subject?: string;
  /** A file. */
  readonly publicKey?: string;
}

/** For admins: credentials of their tenant's people. For operators, with --service: credentials of a service. */
export function credentialCommands(program: Command, open: OpenSession): void {
  const credential = program.command('credential').description("credentials of a tenant's people, or with --service of a service");
  const withService = (command: Command) => command.option('--service <name>', 'of this service (operators)');

  withService(credential.command('issue').description('make a credential and write it to a file, shown this once'))
    .option('--principal <name>', 'whose it is')
    .addOption(new Option('--role <role>', 'what it may do').choices(['admin', 'auditor']))
    .option('--expires-in-days <n>', 'how long it lasts', wholeNumber(1), 90)
    .option('--out <file>', 'where the API key is written, readable by you alone')
    .option('--subject <sub>', 'a person whom the tenant’s identity provider calls so; no API key is made')
    .option('--public-key <file>', 'the service’s public key as a JWK; it signs its own tokens, and no API key is made')
    .addHelpText(
      'after',
      '\nExamples:\n  keyward credential issue --principal otto --role auditor --out otto.json\n  keyward credential issue --service billing --out billing.json\n  keyward credential issue --principal anna --role admin --subject 8f2c…\n',
    )
    .action(async (options: IssueOptions, command: Command) => issue(open(command), options));

  paged(withService(credential.command('list').description('all credentials, without their keys'))).action(
    async ({ service, ...page }: PageOptions & OfService, command: Command) => {
      const session = open(command);
      const { admin } = session;
      const found =
        service === undefined ? await admin.listCredentials(session.tenant, page) : await admin.listServiceCredentials(service, page);
      const rows = found.items.map((item) => [
        item.credentialId,
        item.principal,
        item.role,
        item.authMethod,
        item.expiresAt,
        item.revokedAt,
      ]);
      session.answer(found, table(['CREDENTIAL', 'PRINCIPAL', 'ROLE', 'BY', 'EXPIRES', 'REVOKED'], rows));
    },
  );

  withService(credential.command('revoke <credential>').description('end a credential, from the next call on')).action(
    async (id: string, { service }: OfService, command: Command) => {
      const session = open(command);
      const { admin } = session;
      session.answer(
        service === undefined ? await admin.revokeCredential(session.tenant, id) : await admin.revokeServiceCredential(service, id),
      );
    },
  );
}

async function issue(session: Session, options: IssueOptions): Promise<void> {
  const { service, out, subject, publicKey } = options;
  if (subject === undefined && publicKey === undefined) return await issueKey(session, options, out);
  if (out !== undefined) throw new UsageError('There is no API key to write: leave --out away.');
  if (service === undefined ? publicKey !== undefined : subject !== undefined)
    throw new UsageError('--subject is for people, --public-key for services.');
  const { apiKey: _, ...shown } = await issued(session, options);
  session.answer(shown);
}

async function issueKey(session: Session, options: IssueOptions, out: string | undefined): Promise<void> {
  if (out === undefined) throw new UsageError('Where shall the API key be written? Add --out FILE.');
  refuseExisting(out);
  const { keyPlane, dataPlane, auditor, vkey } = session.credentials;
  const { apiKey, requestId, record, ...shown } = await issued(session, options);
  const { service } = options;
  const tenant = service === undefined ? session.tenant : 'platform';
  writeProfile(out, { keyPlane, dataPlane, auditor, tenant, ...shown, apiKey, ...(service === undefined && { vkey }) });
  session.answer({ ...shown, credentialFile: out, requestId, record });
}

function issued(session: Session, { service, principal, role, subject, expiresInDays, publicKey }: IssueOptions) {
  if (service !== undefined) {
    const key = publicKey === undefined ? {} : { publicKey: publicKeyIn(publicKey) };
    return session.admin.issueServiceCredential(service, { expiresInDays, ...key });
  }
  if (principal === undefined || role === undefined) throw new UsageError('Whose is it? Give --principal and --role, or --service.');
  return session.admin.issueCredential(session.tenant, { principal, role, expiresInDays, subject });
}

/** @throws UsageError, also for a private key: it must stay where it is */
function publicKeyIn(file: string): ServicePublicKey {
  try {
    return servicePublicKey.parse(JSON.parse(readFileSync(file, 'utf8')));
  } catch {
    throw new UsageError(`${file} is not a public Ed25519 or P-256 key as a JWK.`);
  }
}
