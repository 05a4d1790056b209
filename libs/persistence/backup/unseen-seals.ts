import type pg from 'pg';

/**
 * A version seals until 3·2³⁰ were counted, and 2³² are safe (NIST SP 800-38D §8.3; migrations 0087 and 0132). What it sealed after the archive was
 * made, no row tells: up to 3·2³⁰, for there the lost platform ended it. So it may seal 2³⁰ more, of which half is left for what is sealed
 * before it is counted: it counts as having sealed all but 2²⁹ of the limit.
 */
export const COUNTS_AS_SEALED = 2 ** 31 + 2 ** 29;

/** In an hour no version seals as much as what is left for that anyhow: 2²⁹ are 149,000 a second. */
const FRESH_MS = 3_600_000;

/**
 * Makes the counts of a restored database safe, unless the rows are of the last hour. What had sealed less than that is worn from now on: keys that
 * are rotated automatically get their next version, of the others their tenants are told. `client` is a superuser's.
 */
export async function countUnseenSeals(client: pg.Client, taken: Date, now: Date): Promise<void> {
  const age = now.getTime() - taken.getTime();
  if (age >= 0 && age <= FRESH_MS) return;
  await client.query(
    `INSERT INTO keyward.key_wear AS w (tenant_id, version_id, key_id, sealed)
      SELECT v.tenant_id, v.version_id, v.key_id, $1 FROM keyward.key_version v
        WHERE v.usage = 'ENCRYPT_DECRYPT' AND v.public_key IS NULL AND (length(v.blob) > 0 OR v.origin = 'EXTERNAL')
      ON CONFLICT (tenant_id, version_id) DO UPDATE SET sealed = greatest(w.sealed, excluded.sealed)`,
    [COUNTS_AS_SEALED],
  );
}
