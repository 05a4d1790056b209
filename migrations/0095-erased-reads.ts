import type { MigrationInterface, QueryRunner } from 'typeorm';
import { mayExecute, ownedByFunctions } from './row-security.js';

const ERASE = 'erase_read_fields(text, text[], text[], boolean)';
/** Of a read's personal fields those that are to go; NULL: of anybody, or any. */
const CHOSEN = `(of_abouts IS NULL OR f.about = ANY (of_abouts)) AND (of_fields IS NULL OR f.name = ANY (of_fields))`;

/** An auditor's reads of the present minute are no records yet: an erasure reaches the personal fields that these will carry. */
export class ErasedReads implements MigrationInterface {
  readonly name = 'ErasedReads0000000000095';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      -- Answers how many there are; with "erase" they are gone afterwards.
      CREATE FUNCTION keyward.erase_read_fields(of_tenant text, of_abouts text[], of_fields text[], erase boolean) RETURNS integer
      LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
      DECLARE
        found_fields integer;
      BEGIN
        IF erase THEN
          -- Whoever makes a record of one just now comes first: then it is no count any more, and its fields are where those of records are.
          PERFORM 1 FROM keyward.read_count r WHERE r.tenant_id = of_tenant ORDER BY r.credential_id, r.op, r.minute FOR UPDATE;
        END IF;
        SELECT count(*) INTO found_fields FROM keyward.read_count r, unnest(r.field_names, r.abouts) f (name, about)
          WHERE r.tenant_id = of_tenant AND ${CHOSEN};
        IF erase THEN
          UPDATE keyward.read_count r SET (field_names, abouts, disclosures) = (
              SELECT array_agg(f.name ORDER BY f.place), array_agg(f.about ORDER BY f.place), array_agg(f.disclosure ORDER BY f.place)
                FROM unnest(r.field_names, r.abouts, r.disclosures) WITH ORDINALITY f (name, about, disclosure, place) WHERE NOT (${CHOSEN}))
            WHERE r.tenant_id = of_tenant;
        END IF;
        RETURN found_fields;
      END $$;
      ${ownedByFunctions(ERASE)}
      ${mayExecute(ERASE, 'keyward_key_plane')}
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`DROP FUNCTION keyward.${ERASE}`);
  }
}
