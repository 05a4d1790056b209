import type { MigrationInterface, QueryRunner } from 'typeorm';
import { ownedByFunctions } from './row-security.js';

/**
 * Every change that can turn a yes into a no, or a no into a yes, moves the tenant's epoch, whoever makes it and however.
 * A new key, key version or credential changes no decision that somebody may have cached. A new service does: a grant may name it
 * before it is in the catalogue, and a cached catalogue would go on refusing it.
 */
const WATCHED = [
  ['tenant', 'UPDATE OR DELETE'],
  ['log', 'UPDATE OR DELETE'],
  ['credential', 'UPDATE OR DELETE'],
  ['identity_provider', 'INSERT OR UPDATE OR DELETE'],
  ['service', 'INSERT OR UPDATE OR DELETE'],
  ['tenant_suspension', 'INSERT OR UPDATE OR DELETE'],
  ['cmk', 'UPDATE OR DELETE'],
  ['key_version', 'UPDATE OR DELETE'],
  ['alias', 'INSERT OR UPDATE OR DELETE'],
  ['policy_version', 'INSERT OR UPDATE OR DELETE'],
  ['stop', 'INSERT OR UPDATE OR DELETE'],
] as const;

const WATCHED_TABLES = WATCHED.map(([table]) => table);

/** Deferred: the head is locked when the transaction ends, so that nobody holds it over a round trip. */
const watch = (table: string, events: string): string => `
  CREATE CONSTRAINT TRIGGER moves_epoch AFTER ${events} ON keyward.${table} DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION keyward.move_epoch();`;

/** TRUNCATE passes row triggers: stops, for example, would be gone under an epoch that stays. */
const neverEmptied = (table: string): string => `
  CREATE TRIGGER never_emptied BEFORE TRUNCATE ON keyward.${table} FOR EACH STATEMENT EXECUTE FUNCTION keyward.refuse_change();`;

/** Every table that a snapshot of the rules is read from. */
const READ = ['tenant_head', ...WATCHED_TABLES];

export class Epochs implements MigrationInterface {
  readonly name = 'Epochs0000000000006';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      GRANT USAGE ON SCHEMA keyward TO keyward_functions;
      GRANT SELECT, UPDATE ON keyward.tenant_head TO keyward_functions;

      -- Drawn at random, never counted: after a restore no value comes back that a replica may still hold.
      CREATE FUNCTION keyward.move_epoch() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
      DECLARE
        touched text[] := CASE TG_OP WHEN 'INSERT' THEN ARRAY[NEW.tenant_id] WHEN 'DELETE' THEN ARRAY[OLD.tenant_id] ELSE ARRAY[OLD.tenant_id, NEW.tenant_id] END;
      BEGIN
        -- Every append reads the platform's epoch under this lock, shared: none may straddle the change.
        IF 'platform' = ANY (touched) THEN
          PERFORM pg_advisory_xact_lock(7710);
        END IF;
        UPDATE keyward.tenant_head SET epoch = gen_random_uuid() WHERE tenant_id = ANY (touched);
        IF NOT FOUND THEN
          RAISE EXCEPTION 'a tenant without a head';
        END IF;
        RETURN NULL;
      END $$;
      ${WATCHED.map(([table, events]) => watch(table, events)).join('')}
      ${READ.map(neverEmptied).join('')}
      ${ownedByFunctions('move_epoch()')}
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    const drop = (trigger: string, tables: readonly string[]) =>
      tables.map((table) => `DROP TRIGGER ${trigger} ON keyward.${table};`).join('');
    await runner.query(`
      ${drop('moves_epoch', WATCHED_TABLES)}
      ${drop('never_emptied', READ)}
      DROP FUNCTION keyward.move_epoch();
      REVOKE ALL ON keyward.tenant_head FROM keyward_functions;
      REVOKE USAGE ON SCHEMA keyward FROM keyward_functions;
    `);
  }
}
