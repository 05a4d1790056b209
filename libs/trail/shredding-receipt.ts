import { signedFields } from './signed-lines.js';
import type { VerifierKey } from './verifier-key.js';

/** A statement that a key was destroyed, as custody signs it (custody/shredding-receipt.ts). */
export interface ShreddingReceipt {
  readonly tenant: string;
  readonly keyId: string;
  readonly versionIds: readonly string[];
  /** RFC 3339, by the platform's database. */
  readonly destroyedAt: string;
  /** Place of the destruction's record in the log. */
  readonly record: number;
  /** Days for which copies are kept, by what the operator says; undefined: nobody said. */
  readonly copiesKept: { readonly wal: number | undefined; readonly database: number | undefined; readonly token: number | undefined };
  /** Of the root that had wrapped it; undefined while there is that root. */
  readonly rootDestroyedAt: string | undefined;
  /** From then on no copy brings the key back; undefined: nobody can say. */
  readonly finalAt: string | undefined;
}

export class ReceiptRefused extends Error {
  readonly code = 'malformed-receipt';
  constructor(detail: string) {
    super(`This is not a shredding receipt: ${detail}.`);
    this.name = 'ReceiptRefused';
  }
}

const TIME = String.raw`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z`;
const DAYS = String.raw`(?:(\d{1,5}) days|unknown)`;
const LINES = [
  'keyward shredding receipt v1',
  'tenant: ([a-z][a-z0-9-]{1,30})',
  'key: (key_[0-9a-z]{26})',
  'versions: (kver_[0-9a-z]{26}(?: kver_[0-9a-z]{26})*)',
  `destroyed: (${TIME})`,
  String.raw`record: (\d{1,15})`,
  `wal-copies-kept: ${DAYS}`,
  `database-copies-kept: ${DAYS}`,
  `token-copies-kept: ${DAYS}`,
  `root-destroyed: (?:(${TIME})|no)`,
  `final: (?:(${TIME})|unknown)`,
];

/**
 * Reads a receipt and verifies its signature, offline, by the verifier key of the tenant's log.
 * @throws NoteRefused malformed-note, unknown-signer, bad-signature; ReceiptRefused for any other signed text, a checkpoint for example
 */
export async function verifyReceipt(text: string, known: readonly VerifierKey[]): Promise<ShreddingReceipt> {
  const fields = await signedFields(text, known, LINES);
  const [tenant, keyId, versions, destroyedAt, record, wal, database, token, rootDestroyedAt, finalAt] = fields ?? [];
  if (tenant === undefined || keyId === undefined || destroyedAt === undefined) throw new ReceiptRefused('its text is another one');
  const days = (kept: string | undefined) => (kept === undefined ? undefined : Number(kept));
  return {
    ...{ tenant, keyId, versionIds: versions?.split(' ') ?? [], destroyedAt, record: Number(record) },
    copiesKept: { wal: days(wal), database: days(database), token: days(token) },
    ...{ rootDestroyedAt, finalAt },
  };
}
