import type { Command } from 'commander';
import type { DataOperation, RefusalReason } from '#contract';
import { type DryRun, type DryRunCalls, type KeywardClient, KeywardError } from '#sdk';
import { EXIT, exitCodeOf } from '../exit-codes.js';
import type { OpenSession } from '../session.js';
import { bytesFrom, table } from '../terminal.js';
import { CommandEnded } from './command-ended.js';
import { contextOption, fromBase64, justificationIn } from './options.js';

interface DoctorOptions {
  readonly key: string;
  readonly context: Readonly<Record<string, string>>;
  readonly justification?: ReturnType<typeof justificationIn>;
  readonly ciphertext?: string;
  readonly spareKey?: string;
}

/** What somebody can do about it, by what the caller may know. */
const MISSING: Readonly<Record<RefusalReason, string>> = {
  'condition-not-met': "a grant names this service, but one of its conditions is not met: the tenant's record says which",
  guardrail: 'a guardrail of the tenant forbids it',
  stopped: 'the tenant has stopped it, until it lifts the stop',
  'limit-reached': 'the limit of the grant is reached',
  'key-state': 'the key is not enabled',
  'not-in-catalogue': 'the operator has not put it into the catalogue of this service',
  'service-suspended': 'the operator has suspended this service',
  'tenant-suspended': 'the operator has suspended this tenant',
};
const BY_CODE: Readonly<Record<string, string>> = {
  unauthenticated: 'the credential is missing, wrong, expired or revoked',
  'not-granted': 'no grant of the tenant names this service with this key, or there is no such key or tenant',
  'not-allowed': 'this credential is not that of a service',
  unavailable: 'Keyward, or a part that it needs, is not available',
};

/** For services: is my grant live, which key is it, what is missing? No key is used. */
export function doctorCommand(program: Command, open: OpenSession): void {
  program
    .command('doctor')
    .description('ask, by dry runs, what this service may do with a key, and what is missing')
    .requiredOption('--key <key>', 'key id or alias/name')
    .addOption(contextOption())
    .option('--justification <code[:ticket]>', 'why, if the grant asks for it', justificationIn)
    .option('--spare-key <key>', 'ask for a spare key too: may this service encrypt under it?')
    .option('--ciphertext <file>', 'ask for decrypt too: a file of base64, or - for stdin')
    .addHelpText(
      'after',
      '\nExample:\n  keyward doctor --credentials billing.json --tenant acme --key alias/invoices --context purpose=invoice\n',
    )
    .action(async (options: DoctorOptions, command: Command) => {
      const session = open(command);
      const { key: keyId, context, justification } = options;
      const call = { tenant: session.tenant, keyId, context, justification };
      const file = options.ciphertext;
      const ciphertext = file === undefined ? undefined : fromBase64((await bytesFrom(session.terminal, file)).toString('utf8'));
      const client = session.client();
      const findings = [
        await examined(client, 'Encrypt', 'encrypt', { ...call, plaintext: ONE_BYTE }),
        await examined(client, 'GenerateDataKey', 'generateDataKey', call),
        await examined(client, 'GenerateDataKeyWithoutPlaintext', 'generateDataKeyWithoutPlaintext', call),
        ...(options.spareKey === undefined ? [] : [await examinedSpare(client, { ...call, keyId: options.spareKey })]),
        ...(ciphertext === undefined ? [] : [await examined(client, 'Decrypt', 'decrypt', { ...call, ciphertext })]),
      ];
      client.close();
      const rows = findings.map(({ operation, live, keyId: used, code, missing }) => [
        operation,
        live ? 'live' : (code ?? ''),
        used,
        missing,
      ]);
      session.answer(
        findings.map(({ exit: _, ...told }) => told),
        table(['operation', 'state', 'key', 'missing'], rows),
      );
      const ill = findings.find(({ live }) => !live);
      if (ill !== undefined) throw new CommandEnded(ill.exit);
    });
}

const ONE_BYTE = Uint8Array.of(0);

/** What seals under a spare key needs Encrypt on it; what opens it, Decrypt, cannot be asked without something that it sealed. */
async function examinedSpare(client: KeywardClient, call: Omit<DryRunCalls['encrypt'], 'plaintext'>) {
  const found = await examined(client, 'Encrypt', 'encrypt', { ...call, plaintext: ONE_BYTE });
  const spare = { ...found, operation: 'Encrypt, spare key', spareKey: call.keyId };
  return found.live ? spare : { ...spare, missing: `spare key ${call.keyId}: ${found.missing ?? ''}` };
}

async function examined<Name extends keyof DryRunCalls>(
  client: KeywardClient,
  operation: DataOperation,
  name: Name,
  call: DryRunCalls[Name],
) {
  try {
    const { keyId, keyVersionId }: DryRun = await client.dryRun(name, call);
    return { operation, live: true, keyId, keyVersionId, exit: EXIT.ok };
  } catch (error) {
    if (!(error instanceof KeywardError)) throw error;
    const { code, reason, record } = error;
    const missing = reason === undefined ? (BY_CODE[code] ?? error.message) : MISSING[reason];
    return { operation, live: false, code, reason, record, missing, exit: exitCodeOf(error) };
  }
}
