import type { MigrationInterface, QueryRunner } from 'typeorm';
import { BOUND_ROWS, type BoundRows } from './bound-rows.js';
import { mayAppend, mayNotAppend } from './plane-operations.js';
import { APPEND_OWN_RECORD, mayExecute, ownedByFunctions, tenantRows, withTriggerFunction } from './row-security.js';

const MOVE = 'move_epoch()';
const STATE = 'binding_state()';
const ROTATION = 'binding_rotation(boolean)';
const ROWS = 'rows_to_rebind(integer, integer)';
const SAVE = 'save_rebound(integer, text, text, text, bytea, bytea)';
const END = 'end_rebinding(integer, interval)';
const DESTROYED = 'binding_key_destroyed(bytea, integer)';
const WORKERS = [ROTATION, ROWS, SAVE, END, DESTROYED];
const UNBIND = { binding: 'unbind()', lift_binding: 'unbind_lift()', labels_binding: 'unbind_labels()' } as const;
const OPERATIONS = ['RotateBindingKey', 'RetireBindingKey', 'DescribeBindingKey'];

const TABLES = [...new Set(BOUND_ROWS.map(({ table }) => table))];
const waits = ({ table, binding, which }: BoundRows): string => `FROM keyward.${table} v WHERE v.${binding} < of_number AND ${which}`;
const SOMETHING_WAITS = BOUND_ROWS.map((rows) => `EXISTS (SELECT ${waits(rows)})`).join(' OR ');

/** The columns of a table that a rotation writes. */
const bindingsOf = (table: string) => BOUND_ROWS.filter((rows) => rows.table === table);

/** Whoever changes a MAC has it looked at again: it may be of the older key. A rotation raises the number. */
const watched = (table: string): string =>
  bindingsOf(table)
    .map(
      ({ mac, binding, comesLater }) => `
      ALTER TABLE keyward.${table} ADD ${binding} integer NOT NULL DEFAULT 0;
      CREATE INDEX ${table}_${binding} ON keyward.${table} (${binding});
      ${comesLater === true ? '' : again(table, mac, binding)}`,
    )
    .join('');
const again = (table: string, mac: string, binding: keyof typeof UNBIND): string => `
      GRANT UPDATE (${mac}, ${binding}) ON keyward.${table} TO keyward_functions;
      ${withTriggerFunction(
        UNBIND[binding],
        `CREATE TRIGGER ${binding}_again BEFORE UPDATE OF ${mac} ON keyward.${table} FOR EACH ROW
          WHEN (NEW.${mac} IS DISTINCT FROM OLD.${mac} AND NEW.${binding} <= OLD.${binding}) EXECUTE FUNCTION keyward.${UNBIND[binding]};`,
      )}`;

const unwatched = (table: string): string =>
  bindingsOf(table)
    .map(
      ({ binding }) => `
      DROP TRIGGER IF EXISTS ${binding}_again ON keyward.${table};
      ALTER TABLE keyward.${table} DROP ${binding};`,
    )
    .join('');

/** As migration 0110 has it. */
const SECRET = ['secret_id', 'name', 'type', 'key_id', 'tags::text', 'deletion_at', 'rotation::text', 'mac'];
const OF_SECRET = (row: string) => `(${SECRET.map((column) => `${row}.${column}`).join(', ')})`;
const secretMoves = `${OF_SECRET('OLD')} IS DISTINCT FROM ${OF_SECRET('NEW')}`;

interface Moving {
  readonly table: string;
  /** As they were, in one trigger. */
  readonly before: string;
  /** The same without updates. */
  readonly others: string;
  /** Which updates; default: all. */
  readonly updates?: string;
}
const MOVING: readonly Moving[] = [
  ...['policy_version', 'stop', 'identity_provider'].map((table) => ({
    ...{ table, before: 'INSERT OR UPDATE OR DELETE', others: 'INSERT OR DELETE' },
  })),
  ...['credential', 'cmk'].map((table) => ({ table, before: 'UPDATE OR DELETE', others: 'DELETE' })),
  {
    ...{ table: 'key_rotation', before: 'INSERT OR UPDATE OF version, interval_days, mac OR DELETE', others: 'INSERT OR DELETE' },
    updates: 'UPDATE OF version, interval_days, mac',
  },
];
const trigger = (name: string, table: string, events: string, when = ''): string => `
      CREATE CONSTRAINT TRIGGER ${name} AFTER ${events} ON keyward.${table} DEFERRABLE INITIALLY DEFERRED
        FOR EACH ROW ${when}EXECUTE FUNCTION keyward.move_epoch();`;
/** The same row under another key's MAC: what was decided with the older one stays true until that key goes. */
const notRebound = (table: string): string =>
  bindingsOf(table)
    .map(({ binding }) => `NEW.${binding} <= OLD.${binding}`)
    .join(' AND ');
const REWRAPPED = (ignored: string) => `(OLD.root < NEW.root AND length(OLD.blob) > 0 AND length(NEW.blob) > 0
          AND to_jsonb(OLD) - '{${ignored}}'::text[] = to_jsonb(NEW) - '{${ignored}}'::text[])`;

/** The key that binds is replaced: every row that it bound is bound by the next one, and then it goes, when an operator says so. */
export class BindingKey implements MigrationInterface {
  readonly name = 'BindingKey0000000000134';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      ${mayAppend('keyward_key_plane', OPERATIONS)}
      ${mayAppend('keyward_worker', ['DestroyBindingKey'])}

      -- No row: the first key, number 0, never rotated.
      CREATE TABLE keyward.binding_key (
        tenant_id text PRIMARY KEY REFERENCES keyward.tenant CHECK (tenant_id = 'platform'),
        -- The one that binds.
        number integer NOT NULL CHECK (number > 0),
        started_at timestamptz NOT NULL,
        -- Everything is bound by it, and no decision rests on an older MAC.
        rebound boolean NOT NULL DEFAULT false,
        -- Rows that were bound by none.
        broken integer NOT NULL DEFAULT 0,
        -- The operators' word that the older one goes, by this one.
        retire_mac bytea CHECK (length(retire_mac) = 32),
        -- The older one is destroyed.
        ended_at timestamptz CHECK (ended_at IS NULL OR rebound AND retire_mac IS NOT NULL)
      );
      ${tenantRows('binding_key')}
      GRANT SELECT, INSERT, UPDATE (number, started_at, rebound, broken, retire_mac, ended_at) ON keyward.binding_key TO keyward_key_plane;
      GRANT SELECT, UPDATE (rebound, broken, ended_at) ON keyward.binding_key TO keyward_functions;
      -- Nothing that was decided, and bound, before it began is committed after; nothing that rests on an older MAC is once all is bound anew.
      ${withTriggerFunction(
        MOVE,
        `CREATE CONSTRAINT TRIGGER moves_epoch AFTER INSERT OR UPDATE OF number, rebound OR DELETE ON keyward.binding_key
          DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION keyward.move_epoch();`,
      )}

      ${Object.entries(UNBIND)
        .map(
          ([column, signature]) => `
      CREATE FUNCTION keyward.${signature} RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
      BEGIN
        NEW.${column} := 0;
        RETURN NEW;
      END $$;`,
        )
        .join('')}
      ${ownedByFunctions(...Object.values(UNBIND))}
      ${TABLES.map(watched).join('')}
      ${withTriggerFunction(
        MOVE,
        `${MOVING.map(
          ({ table, others, updates = 'UPDATE' }) => `
      DROP TRIGGER moves_epoch ON keyward.${table};
      ${trigger('moves_epoch', table, others)}
      ${trigger('moves_epoch_too', table, updates, `WHEN (${notRebound(table)}) `)}`,
        ).join('')}
      DROP TRIGGER moves_epoch ON keyward.secret;
      ${trigger('moves_epoch', 'secret', 'UPDATE', `WHEN (${secretMoves} AND NEW.binding <= OLD.binding) `)}
      DROP TRIGGER moves_epoch_too ON keyward.key_version;
      ${trigger('moves_epoch_too', 'key_version', 'UPDATE', `WHEN (NOT ${REWRAPPED('blob,mac,root,binding')} AND ${notRebound('key_version')}) `)}`,
      )}

      CREATE FUNCTION keyward.binding_state() RETURNS TABLE (
        number integer, started_at timestamptz, rebound boolean, retired boolean, ended_at timestamptz, broken integer, waiting bigint
      ) LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
      DECLARE
        of_number integer := coalesce((SELECT b.number FROM keyward.binding_key b WHERE b.ended_at IS NULL), 0);
      BEGIN
        RETURN QUERY
          SELECT coalesce(b.number, 0), b.started_at, coalesce(b.rebound, false), b.retire_mac IS NOT NULL, b.ended_at, coalesce(b.broken, 0),
              ${BOUND_ROWS.map((rows) => `(SELECT count(*) ${waits(rows)})`).join('\n              + ')}
            FROM (SELECT 1) one LEFT JOIN keyward.binding_key b ON true;
      END $$;

      -- Under way; not while its job rests, unless it is asked for by that.
      CREATE FUNCTION keyward.binding_rotation(by_job boolean) RETURNS TABLE (number integer, rebound boolean, retire_mac bytea, log_id text)
      LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
        SELECT b.number, b.rebound, b.retire_mac, l.log_id FROM keyward.binding_key b JOIN keyward.log l USING (tenant_id)
          WHERE b.ended_at IS NULL AND (by_job OR NOT keyward.job_rests('rotate-binding-key', 'platform', 'binding-key'))
      $$;

      CREATE FUNCTION keyward.rows_to_rebind(of_number integer, most integer) RETURNS TABLE (tenant_id text, kind text, id text, mac bytea, content json)
      LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
      BEGIN
        RETURN QUERY SELECT * FROM (${BOUND_ROWS.map(
          (rows) => `
          (SELECT v.tenant_id, '${rows.kind}', ${rows.id}, v.${rows.mac}, json_build_object(${rows.content}) ${waits(rows)} LIMIT most)`,
        ).join(' UNION ALL ')}) found LIMIT most;
      END $$;

      -- If it is still the row that was read; without a MAC it keeps what it has, which is none.
      CREATE FUNCTION keyward.save_rebound(of_number integer, of_tenant text, of_kind text, of_id text, read_mac bytea, new_mac bytea) RETURNS void
      LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
      BEGIN
        CASE of_kind${BOUND_ROWS.map(
          ({ kind, table, mac, binding, id }) => `
          WHEN '${kind}' THEN
            UPDATE keyward.${table} v SET ${mac} = coalesce(new_mac, v.${mac}), ${binding} = of_number
              WHERE v.tenant_id = of_tenant AND ${id} = of_id AND v.${mac} = read_mac AND v.${binding} < of_number;`,
        ).join('')}
        END CASE;
        IF FOUND AND new_mac IS NULL THEN
          UPDATE keyward.binding_key b SET broken = b.broken + 1 WHERE b.number = of_number;
        END IF;
      END $$;

      -- "settled": by then nobody binds by the older key any more, nor writes down what it bound.
      CREATE FUNCTION keyward.end_rebinding(of_number integer, settled interval) RETURNS boolean
      LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
      BEGIN
        IF ${SOMETHING_WAITS} THEN
          RETURN false;
        END IF;
        UPDATE keyward.binding_key b SET rebound = true
          WHERE b.number = of_number AND NOT b.rebound AND b.started_at <= clock_timestamp() - settled;
        RETURN FOUND;
      END $$;

      -- With its record; NULL: that is told. Raises KW001 when a rule came in between.
      CREATE FUNCTION keyward.binding_key_destroyed(body bytea, of_number integer) RETURNS bigint
      LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
      DECLARE
        of_tenant text := 'platform';
        answer bigint;
      BEGIN
        UPDATE keyward.binding_key b SET ended_at = clock_timestamp()
          WHERE b.number = of_number AND b.rebound AND b.retire_mac IS NOT NULL AND b.ended_at IS NULL;
        IF NOT FOUND THEN
          RETURN NULL;
        END IF;${APPEND_OWN_RECORD}
        RETURN answer;
      END $$;
      ${ownedByFunctions(STATE, ...WORKERS)}
      ${mayExecute(STATE, 'keyward_key_plane')}
      ${WORKERS.map((signature) => mayExecute(signature, 'keyward_worker')).join('')}
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
      DROP FUNCTION ${[STATE, ...WORKERS].map((signature) => `keyward.${signature}`).join(', ')};
      ${withTriggerFunction(
        MOVE,
        `${MOVING.map(
          ({ table, before }) => `
      DROP TRIGGER moves_epoch_too ON keyward.${table};
      DROP TRIGGER moves_epoch ON keyward.${table};
      ${trigger('moves_epoch', table, before)}`,
        ).join('')}
      DROP TRIGGER moves_epoch ON keyward.secret;
      ${trigger('moves_epoch', 'secret', 'UPDATE', `WHEN (${secretMoves}) `)}
      DROP TRIGGER moves_epoch_too ON keyward.key_version;
      ${trigger('moves_epoch_too', 'key_version', 'UPDATE', `WHEN (NOT ${REWRAPPED('blob,mac,root')}) `)}`,
      )}
      ${TABLES.map(unwatched).join('')}
      DROP FUNCTION ${Object.values(UNBIND)
        .map((signature) => `keyward.${signature}`)
        .join(', ')};
      DROP TABLE keyward.binding_key;
      ${mayNotAppend(['DestroyBindingKey', ...OPERATIONS])}
    `);
  }
}
