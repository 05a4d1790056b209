import { createHash } from 'node:crypto';
import { InvalidRequest } from '#core';

/**
 * Where a list continues: after this id. Opaque to callers; the check value ties it to its list and tenant so that a foreign or
 * damaged one is told, not misread. It protects nothing: row-level security holds the list to the tenant.
 */
export function encodeCursor(list: string, afterId: string): string {
  return Buffer.concat([checkOf(list, afterId), Buffer.from(afterId)]).toString('base64url');
}

/** The id of a cursor that `encodeCursor` made for this list; undefined for no cursor. @throws InvalidRequest */
export function decodeCursor(list: string, cursor: string | undefined): string | undefined {
  if (cursor === undefined) return undefined;
  const bytes = Buffer.from(cursor, 'base64url');
  const afterId = bytes.subarray(CHECK_BYTES).toString();
  // The check value is no secret: an id that no list has, as one with U+0000, would be the database's to refuse.
  if (!ID.test(afterId) || encodeCursor(list, afterId) !== cursor)
    throw new InvalidRequest([{ field: 'cursor', message: 'is not a cursor of this list' }]);
  return afterId;
}

/** Ids, names of services and tenants, aliases. */
const ID = /^[a-z][A-Za-z0-9_/-]{0,261}$/;
const CHECK_BYTES = 6;
const checkOf = (list: string, afterId: string) => createHash('sha256').update(`${list}\n${afterId}`).digest().subarray(0, CHECK_BYTES);
