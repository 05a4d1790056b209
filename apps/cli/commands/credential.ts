import { type Command, Option } from 'commander';
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
  readonly out: string;
}

/** For admins: credentials of their tenant's people. For operators, with --service: credentials of a service. */
export function credentialCommands(program: Command, open: OpenSession): void {
  const credential = program.command('credential').description("credentials of a tenant's people, or with --service of a service");
  const withService = (command: Command) => command.option('--service <name>', 'of this service (operators)');

  withService(credential.command('issue').description('make a credential and write it to a file, shown this once'))
    .option('--principal <name>', 'whose it is')
    .addOption(new Option('--role <role>', 'what it may do').choices(['admin', 'auditor']))
    .option('--expires-in-days <n>', 'how long it lasts', wholeNumber(1), 90)
    .requiredOption('--out <file>', 'where it is written, readable by you alone')
    .addHelpText(
      'after',
      '\nExamples:\n  keyward credential issue --principal otto --role auditor --out otto.json\n  keyward credential issue --service billing --out billing.json\n',
    )
    .action(async (options: IssueOptions, command: Command) => issue(open(command), options));

  paged(withService(credential.command('list').description('all credentials, without their keys'))).action(
    async ({ service, ...page }: PageOptions & OfService, command: Command) => {
      const session = open(command);
      const { admin } = session;
      const found =
        service === undefined ? await admin.listCredentials(session.tenant, page) : await admin.listServiceCredentials(service, page);
      const rows = found.items.map((item) => [item.credentialId, item.principal, item.role, item.expiresAt, item.revokedAt]);
      session.answer(found, table(['CREDENTIAL', 'PRINCIPAL', 'ROLE', 'EXPIRES', 'REVOKED'], rows));
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

async function issue(session: Session, { service, principal, role, expiresInDays, out }: IssueOptions): Promise<void> {
  refuseExisting(out);
  const { keyPlane, dataPlane, auditor, vkey } = session.credentials;
  const issued =
    service === undefined
      ? await issueToPerson(session, principal, role, expiresInDays)
      : await session.admin.issueServiceCredential(service, { expiresInDays });
  const { apiKey, requestId, record, ...shown } = issued;
  const tenant = service === undefined ? session.tenant : 'platform';
  writeProfile(out, { keyPlane, dataPlane, auditor, tenant, ...shown, apiKey, ...(service === undefined && { vkey }) });
  session.answer({ ...shown, credentialFile: out, requestId, record });
}

function issueToPerson(session: Session, principal: string | undefined, role: IssueOptions['role'], expiresInDays: number) {
  if (principal === undefined || role === undefined) throw new UsageError('Whose is it? Give --principal and --role, or --service.');
  return session.admin.issueCredential(session.tenant, { principal, role, expiresInDays });
}
