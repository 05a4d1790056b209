// The demo plays the attacker who owns the database. No role of the platform could do this, so #persistence does not offer it.
import { openDatabase } from '../../../libs/persistence/database.js';

/** The byte that is overwritten: the first letter of who did it. */
const FROM = '"principal":"';

/**
 * As the database's superuser, with triggers off: changes the first letter of the principal in one stored record.
 * @throws Error when no record was changed
 */
export async function forgePrincipal(superuserUrl: string, tenant: string, seq: number): Promise<void> {
  const source = await openDatabase({ url: superuserUrl, applicationName: 'demo-attacker' }, 1);
  try {
    await source.transaction(async (attacker) => {
      await attacker.query('SET LOCAL session_replication_role = replica');
      const changed: unknown = await attacker.query(
        `UPDATE keyward.trail_record
            SET bytes = set_byte(bytes, position(convert_to($3, 'UTF8') IN bytes) - 1 + length($3), ascii('f'))
          WHERE tenant_id = $1 AND seq = $2 AND position(convert_to($3, 'UTF8') IN bytes) > 0`,
        [tenant, seq, FROM],
      );
      if (!Array.isArray(changed) || changed[1] !== 1) throw new Error(`Record ${seq} could not be changed.`);
    });
  } finally {
    await source.destroy();
  }
}
