import type { EntityManager } from 'typeorm';
import { z } from 'zod';
import { DISCLOSURE_NAMES, type TenantId } from '#contract';
import { type PersonalFields, StaleSnapshot } from '#core';

/** Only columns that a key plane may see: what the fields say it cannot read. Of shared ones, all that a record of the range may carry. */
const CHOSEN = `seq >= CASE WHEN shared THEN $1::bigint ELSE $2::bigint END AND seq < coalesce($3, 9223372036854775807)
  AND ($4::text[] IS NULL OR about = ANY ($4)) AND ($5::text[] IS NULL OR name = ANY ($5))`;

const values = (chosen: PersonalFields) => [chosen.sharedFrom, chosen.fromSeq, chosen.toSeq ?? null, ...whoseAndWhich(chosen)];

/** All of them: then also what a plane stored under no name that there is. */
const whoseAndWhich = ({ abouts, fields }: PersonalFields) => [abouts ?? null, fields.length === DISCLOSURE_NAMES.length ? null : fields];

/** In the transaction's tenant. */
export async function countPersonalFields(manager: EntityManager, tenant: TenantId, chosen: PersonalFields): Promise<number> {
  const rows: unknown = await manager.query(
    `SELECT count(*)::integer AS count FROM keyward.trail_disclosure WHERE ${CHOSEN}`,
    values(chosen),
  );
  return (await ofReads(manager, tenant, chosen, false)) + z.tuple([z.object({ count: z.int() })]).parse(rows)[0].count;
}

/** @throws StaleSnapshot unless it is so many: somebody erased some of them meanwhile, and the record would not be true */
export async function erasePersonalFields(
  manager: EntityManager,
  tenant: TenantId,
  chosen: PersonalFields,
  expected: number,
): Promise<void> {
  // First these: what becomes a record meanwhile is found among the records.
  const reads = await ofReads(manager, tenant, chosen, true);
  const [, records] = z
    .tuple([z.array(z.unknown()), z.int()])
    .parse(await manager.query(`DELETE FROM keyward.trail_disclosure WHERE ${CHOSEN}`, values(chosen)));
  if (reads + records !== expected) throw new StaleSnapshot();
}

/** An auditor's reads of the present minute will be records at the log's end (migration 0095). A range that ends does not hold them. */
async function ofReads(manager: EntityManager, tenant: TenantId, chosen: PersonalFields, erase: boolean): Promise<number> {
  if (chosen.toSeq !== undefined) return 0;
  const rows: unknown = await manager.query('SELECT keyward.erase_read_fields($1, $2, $3, $4) AS count', [
    tenant,
    ...whoseAndWhich(chosen),
    erase,
  ]);
  return z.tuple([z.object({ count: z.int() })]).parse(rows)[0].count;
}
