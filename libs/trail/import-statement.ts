import { signedFields } from './signed-lines.js';
import type { VerifierKey } from './verifier-key.js';

/** What the tenant's HSM says of one import, as custody signs it (custody/import-statement.ts). */
export interface ImportStatement {
  readonly tenant: string;
  readonly keyId: string;
  readonly versionId: string;
  readonly spec: string;
  readonly usage: string;
  readonly importToken: string;
  readonly algorithm: string;
  /** RFC 3339. */
  readonly expiresAt: string;
  /** SubjectPublicKeyInfo, DER, base64. */
  readonly wrappingKey: string;
}

export class StatementRefused extends Error {
  readonly code = 'malformed-statement';
  constructor() {
    super('This is not a statement about an import: its text is another one.');
    this.name = 'StatementRefused';
  }
}

const LINES = [
  'keyward import parameters v1',
  'tenant: ([a-z][a-z0-9-]{1,30})',
  'key: (key_[0-9a-z]{26})',
  'version: (kver_[0-9a-z]{26})',
  'spec: ([A-Z0-9_]{1,32})',
  'usage: ([A-Z_]{1,32})',
  'import-token: (imp_[0-9a-z]{26})',
  'algorithm: ([A-Z0-9_]{1,40})',
  String.raw`expires: (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z)`,
  'wrapping-key: ([A-Za-z0-9+/]{100,1400}={0,2})',
];

/**
 * Reads a statement and verifies its signature by the verifier key of the tenant's log, before anything is wrapped by it: whoever controls a
 * plane, or the database, could otherwise put a wrapping key of their own there.
 * @throws NoteRefused malformed-note, unknown-signer, bad-signature; StatementRefused for any other signed text, a checkpoint for example
 */
export async function verifyImportStatement(text: string, known: readonly VerifierKey[]): Promise<ImportStatement> {
  const fields = await signedFields(text, known, LINES);
  if (fields === undefined) throw new StatementRefused();
  const [tenant, keyId, versionId, spec, usage, importToken, algorithm, expiresAt, wrappingKey] = fields as [
    ...[string, string, string, string, string, string, string, string, string],
  ];
  return { tenant, keyId, versionId, spec, usage, importToken, algorithm, expiresAt, wrappingKey };
}
