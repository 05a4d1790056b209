import { type DataSource } from 'typeorm';
import { z } from 'zod';
import { CALENDAR_EVENTS, type CalendarItem, calendarItem, type PageQuery, type TenantId } from '#contract';
import type { Page } from '#core';
import { parsed } from './function-answer.js';
import { paging } from './paging.js';
import { readTransaction } from './tenant-transaction.js';

const { keyId, keyState, importToken, credentialId, principal } = calendarItem.shape;
const none = <Schema extends z.ZodType>(schema: Schema) => schema.nullish().transform((value) => value ?? undefined);
const row = z.object({
  ...{ place: z.string(), at: z.date(), event: z.enum(CALENDAR_EVENTS) },
  ...{ keyId: none(keyId), keyState: none(keyState), importToken: none(importToken), credentialId: none(credentialId) },
  principal: none(principal),
});

/** Milliseconds since 1970 in digits that sort as text, then what it is: a place in the list, and a cursor's id. */
const PLACE = `('t' || lpad(floor(extract(epoch FROM e.at) * 1000)::bigint::text, 15, '0') || '-' || e.event || '-' || e.subject) COLLATE "C"`;
const UPCOMING = `
  SELECT * FROM (
    SELECT ${PLACE} AS place, e.at, e.event, e.key_id AS "keyId", k.state AS "keyState", e.import_token AS "importToken",
        e.credential_id AS "credentialId", e.principal
      FROM (
        SELECT r.next_at AS at, 'rotation' AS event, r.key_id AS subject, r.key_id, NULL AS import_token, NULL AS credential_id, NULL AS principal
          FROM keyward.key_rotation r JOIN keyward.cmk c USING (tenant_id, key_id)
          WHERE r.tenant_id = $1 AND r.next_at IS NOT NULL AND c.state <> 'Destroyed'
        UNION ALL SELECT c.deletion_at, 'deletion', c.key_id, c.key_id, NULL, NULL, NULL
          FROM keyward.cmk c WHERE c.tenant_id = $1 AND c.deletion_at IS NOT NULL
        UNION ALL SELECT to_timestamp(v.valid_to / 1000.0), 'material-expiry', v.version_id, v.key_id, NULL, NULL, NULL
          FROM keyward.key_version v WHERE v.tenant_id = $1 AND v.valid_to > 0 AND length(v.blob) > 0
        UNION ALL SELECT i.expires_at, 'import-expiry', i.import_token, i.key_id, i.import_token, NULL, NULL
          FROM keyward.key_import i WHERE i.tenant_id = $1 AND i.used_at IS NULL AND i.expires_at > clock_timestamp()
        UNION ALL SELECT p.expires_at, 'credential-expiry', p.credential_id, NULL, NULL, p.credential_id, p.principal
          FROM keyward.credential p WHERE p.tenant_id = $1 AND p.revoked_at IS NULL AND p.role <> 'enrolment' AND p.expires_at > clock_timestamp()) e
      LEFT JOIN keyward.cmk k ON k.tenant_id = $1 AND k.key_id = e.key_id) listed
    WHERE $2::text IS NULL OR listed.place > $2 ORDER BY listed.place LIMIT $3`;

/** What comes, the soonest first. */
export async function calendar(source: DataSource, tenant: TenantId, query: PageQuery): Promise<Page<CalendarItem>> {
  const { after, take, page } = paging(`calendar ${tenant}`, query);
  const rows: unknown = await readTransaction(source, tenant, (manager) => manager.query(UPCOMING, [tenant, after ?? null, take]));
  return page(
    parsed('calendar', z.array(row), rows),
    ({ place }) => place,
    ({ place: _, at, ...item }) => ({ at: at.toISOString(), ...item }),
  );
}
