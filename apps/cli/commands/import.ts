import { type Command, Option } from 'commander';
import { IMPORT_ALGORITHMS, type ImportAlgorithm } from '#contract';
import { type ImportStatement, NoteRefused, parseVkey, StatementRefused, verifyImportStatement } from '#trail';
import { EXIT, UsageError } from '../exit-codes.js';
import type { OpenSession, Session } from '../session.js';
import { fileBytes } from '../terminal.js';
import { CommandEnded } from './command-ended.js';
import { materialIn, wrapped } from './wrapped-material.js';

interface ImportOptions {
  readonly material: string;
  readonly algorithm: ImportAlgorithm;
  readonly validTo?: string;
  readonly vkey?: string;
}

const AFTER_HELP = `
The file holds the bytes of a symmetric key, or a private key as PKCS#8 (PEM or DER). It is wrapped on this machine, by a wrapping key that the
tenant's HSM made for this one import: that it did is checked by the log key that you pinned, before anything is wrapped.
Exit code 6: the statement is not signed by that key; nothing was wrapped.

Example:
  keyward key create --spec AES_256 --origin EXTERNAL --alias alias/mine
  keyward import key_… --material key.bin --credentials anna.json
`;

/** For admins: bring your own key. */
export function importCommand(program: Command, open: OpenSession): void {
  program
    .command('import <key>')
    .description('bring key material of your own into the HSM (admins)')
    .requiredOption('--material <file>', 'the key, in a file that only you can read')
    .addOption(new Option('--algorithm <name>', 'how it is wrapped').choices(IMPORT_ALGORITHMS).default('RSA_AES_KEY_WRAP_SHA_1'))
    .option('--valid-to <time>', 'RFC 3339; from then on the key is not used')
    .option('--vkey <key>', "the log's verifier key as you noted it earlier (default: the one in the file of --credentials)")
    .addHelpText('after', AFTER_HELP)
    .action(async (keyId: string, options: ImportOptions, command: Command) => {
      const session = open(command);
      const pinned = options.vkey ?? session.pinnedVkey;
      if (pinned === undefined)
        throw new UsageError('Whose HSM? Add --vkey KEY, or --credentials with the file of a person of the tenant.');
      const { tenant, admin } = session;
      session.say('1/4 asking the HSM for a wrapping key; that takes some seconds');
      const answer = await admin.importParameters(tenant, keyId, { algorithm: options.algorithm });
      const statement = await verified(session, answer.statement, pinned);
      mustBeAsked(statement, { ...answer, tenant, keyId });
      session.say(`2/4 the statement is signed by the HSM of ${tenant}: a key of ${statement.spec}, until ${statement.expiresAt}`);
      // Never from stdin: a pipe leaves copies that nobody wipes.
      const material = materialIn(fileBytes(options.material), statement.spec);
      try {
        const encrypted = wrapped(material.bytes, statement);
        session.say('3/4 wrapped on this machine');
        const key = await admin.importKeyMaterial(tenant, keyId, {
          importToken: statement.importToken,
          encryptedKeyMaterial: encrypted.toString('base64'),
          ...(material.publicKey && { publicKey: material.publicKey.toString('base64') }),
          ...(options.validTo !== undefined && { validTo: options.validTo }),
        });
        session.say('4/4 imported');
        session.answer(key);
      } finally {
        material.bytes.fill(0);
      }
    });
}

async function verified(session: Session, text: string, pinned: string): Promise<ImportStatement> {
  try {
    return await verifyImportStatement(text, [parseVkey(pinned)]);
  } catch (error) {
    if (!(error instanceof NoteRefused || error instanceof StatementRefused)) throw error;
    session.say(`Nothing was wrapped: the import's statement is not one of this tenant's HSM (${error.code}). ${error.message}`);
    throw new CommandEnded(EXIT.verification);
  }
}

/** A genuine statement about another key, or an older one, must not pass in the place of what was asked for. */
function mustBeAsked(
  statement: ImportStatement,
  asked: { tenant: string; keyId: string; keyVersionId: string; importToken: string; algorithm: string },
): void {
  const is = [statement.tenant, statement.keyId, statement.versionId, statement.importToken, statement.algorithm];
  const wanted = [asked.tenant, asked.keyId, asked.keyVersionId, asked.importToken, asked.algorithm];
  if (is.some((part, index) => part !== wanted[index]) || Date.parse(statement.expiresAt) <= Date.now())
    throw new UsageError('Nothing was wrapped: the statement is about another import, or too old.');
}
