import type { EntityManager } from 'typeorm';
import { z } from 'zod';
import { DISCLOSURE_NAMES } from '#contract';
import { type PersonalFields, StaleSnapshot } from '#core';

/** Only columns that a key plane may see: what the fields say it cannot read. Of shared ones, all that a record of the range may carry. */
const CHOSEN = `seq >= CASE WHEN shared THEN $1::bigint ELSE $2::bigint END AND seq < coalesce($3, 9223372036854775807)
  AND ($4::text[] IS NULL OR about = ANY ($4)) AND ($5::text[] IS NULL OR name = ANY ($5))`;

const values = ({ fromSeq, toSeq, sharedFrom, abouts, fields }: PersonalFields) => [
  sharedFrom,
  fromSeq,
  toSeq ?? null,
  abouts ?? null,
  // All of them: then also what a plane stored under no name that there is.
  fields.length === DISCLOSURE_NAMES.length ? null : fields,
];

/** In the transaction's tenant. */
export async function countPersonalFields(manager: EntityManager, chosen: PersonalFields): Promise<number> {
  const rows: unknown = await manager.query(
    `SELECT count(*)::integer AS count FROM keyward.trail_disclosure WHERE ${CHOSEN}`,
    values(chosen),
  );
  return z.tuple([z.object({ count: z.int() })]).parse(rows)[0].count;
}

/** @throws StaleSnapshot unless it is so many: somebody erased some of them meanwhile, and the record would not be true */
export async function erasePersonalFields(manager: EntityManager, chosen: PersonalFields, expected: number): Promise<void> {
  const [, erased] = z
    .tuple([z.array(z.unknown()), z.int()])
    .parse(await manager.query(`DELETE FROM keyward.trail_disclosure WHERE ${CHOSEN}`, values(chosen)));
  if (erased !== expected) throw new StaleSnapshot();
}
