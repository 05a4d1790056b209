import type pg from 'pg';

/** What whoever helps an operator needs to know of the database: no row of anybody's. */
export async function describeDatabase(client: pg.Client): Promise<object> {
  const rowsOf = async (sql: string): Promise<readonly object[]> => (await client.query<object>(sql)).rows;
  return {
    server: await rowsOf('SELECT version(), pg_is_in_recovery() AS standby'),
    settings: await rowsOf(
      `SELECT name, setting FROM pg_settings WHERE name IN ('fsync', 'full_page_writes', 'synchronous_commit', 'wal_level', 'max_connections',
        'shared_buffers', 'min_wal_size', 'max_wal_size') OR name = 'synchronous_standby_names' AND setting = '' ORDER BY name`,
    ),
    migrations: await rowsOf('SELECT name FROM keyward.schema_migration ORDER BY timestamp'),
    tables: await rowsOf(
      `SELECT c.relname AS table, c.reltuples::bigint AS rows, pg_total_relation_size(c.oid) AS bytes FROM pg_class c
        WHERE c.relnamespace = 'keyward'::regnamespace AND c.relkind = 'r' ORDER BY 3 DESC`,
    ),
    sessions: await rowsOf(
      `SELECT usename AS role, application_name AS name, state, wait_event_type AS waits, count(*)::integer AS sessions
        FROM pg_stat_activity WHERE usename LIKE 'keyward%' GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3`,
    ),
    figures: await rowsOf('SELECT keyward.platform_figures() AS figures'),
  };
}
