/** Days for which copies are kept, as the operator says; undefined: nobody said. 0: there are none. */
export interface BackupDays {
  readonly wal: number | undefined;
  readonly database: number | undefined;
  readonly token: number | undefined;
}

/** What a receipt tells of a destroyed key. */
export interface DestroyedKey {
  readonly tenant: string;
  readonly keyId: string;
  readonly versionIds: readonly string[];
  readonly destroyedAt: string;
  /** Place of the destruction's record in the tenant's log. */
  readonly seq: bigint;
  /** When the last root was destroyed under which it may have been wrapped: without it, copies of the row are worth nothing. */
  readonly rootDestroyedAt: string | undefined;
}

const DAY_MS = 86_400_000;
const UNKNOWN = 'unknown';

/**
 * The text of a shredding receipt: `name: value` lines under a first line that no other signed text of ours has (a checkpoint's is its
 * origin). libs/trail reads it. `final` is when no copy can bring the key back any more, by what the operator says of the copies it keeps.
 */
export function receiptBody(key: DestroyedKey, backups: BackupDays): string {
  const days = (kept: number | undefined) => (kept === undefined ? UNKNOWN : `${kept} days`);
  const lines = [
    'keyward shredding receipt v1',
    `tenant: ${key.tenant}`,
    `key: ${key.keyId}`,
    `versions: ${key.versionIds.join(' ')}`,
    `destroyed: ${key.destroyedAt}`,
    `record: ${key.seq}`,
    `wal-copies-kept: ${days(backups.wal)}`,
    `database-copies-kept: ${days(backups.database)}`,
    `token-copies-kept: ${days(backups.token)}`,
    `root-destroyed: ${key.rootDestroyedAt ?? 'no'}`,
    `final: ${finalAt(key, backups) ?? UNKNOWN}`,
  ];
  return `${lines.join('\n')}\n`;
}

/** A copy of the row opens only with its root: when every copy of either is gone, the key is. */
function finalAt({ destroyedAt, rootDestroyedAt }: DestroyedKey, { wal, database, token }: BackupDays): string | undefined {
  const after = (from: string, days: readonly (number | undefined)[]) =>
    days.some((kept) => kept === undefined) ? [] : [Date.parse(from) + Math.max(...days.map(Number)) * DAY_MS];
  const ends = [...after(destroyedAt, [wal, database, token]), ...(rootDestroyedAt === undefined ? [] : after(rootDestroyedAt, [token]))];
  return ends.length === 0 ? undefined : new Date(Math.min(...ends)).toISOString();
}
