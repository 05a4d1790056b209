import pg from 'pg';
import { CopyOut } from './copy-streams.js';

/** Objects of the HSM that a tenant's rows need: numbers of its roots, and how many keys of its log have ended. */
export interface TenantObjects {
  readonly tenant: string;
  readonly roots: readonly number[];
  readonly endedLogKeys: number;
}

/** How many records a tenant's log has. */
export interface LogSize {
  readonly tenant: string;
  readonly records: number;
}

export interface TableShape {
  readonly table: string;
  readonly columns: readonly string[];
}

/** Filled by migrations: what each plane may do comes from the code, not from an archive. */
const OF_THE_CODE = ['schema_migration', 'plane_operation'];

/**
 * Every row of the platform as of one instant, for as long as `client` stays in the transaction that this begins. Sees all tenants: `client`
 * is a superuser's. The queue's own schema is left out, for it only triggers.
 */
export class DatabaseSnapshot {
  private constructor(
    private readonly client: pg.Client,
    readonly objects: readonly TenantObjects[],
    readonly logs: readonly LogSize[],
    /** Names of the migrations that made the tables. */
    readonly migrations: readonly string[],
    readonly tables: readonly TableShape[],
  ) {}

  static async take(client: pg.Client): Promise<DatabaseSnapshot> {
    await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
    const objects = await tenantObjects(client);
    const logs = await client.query<{ tenant: string; records: string }>(
      'SELECT l.tenant_id AS tenant, h.size AS records FROM keyward.log l JOIN keyward.tenant_head h USING (tenant_id) ORDER BY 1',
    );
    const { rows } = await client.query<{ name: string }>('SELECT name FROM keyward.schema_migration ORDER BY timestamp');
    return new DatabaseSnapshot(
      client,
      objects,
      logs.rows.map(({ tenant, records }) => ({ tenant, records: Number(records) })),
      rows.map(({ name }) => name),
      await tableShapes(client),
    );
  }

  /** About so many bytes on the server's disk, indexes not counted. */
  async estimatedBytes(): Promise<number> {
    const { rows } = await this.client.query<{ bytes: string }>(
      `SELECT coalesce(sum(pg_table_size(c.oid)), 0) AS bytes FROM pg_class c WHERE c.relnamespace = 'keyward'::regnamespace AND c.relkind = 'r'`,
    );
    return Number(rows[0]?.bytes);
  }

  /** One table's rows in the binary format of COPY. */
  copy({ table, columns }: TableShape): CopyOut {
    return this.client.query(
      new CopyOut(`COPY (SELECT ${quoted(columns)} FROM keyward.${pg.escapeIdentifier(table)}) TO STDOUT (FORMAT binary)`),
    );
  }

  async end(): Promise<void> {
    await this.client.query('ROLLBACK');
  }
}

/** What of the HSM every tenant needs now. */
export async function tenantObjects(client: pg.Client): Promise<readonly TenantObjects[]> {
  const { rows } = await client.query<TenantObjects>(
    `SELECT t.tenant_id AS tenant,
        CASE WHEN r.root IS NOT NULL AND NOT r.rewrapped THEN ARRAY[r.root - 1, r.root] ELSE ARRAY[coalesce(r.root, 0)] END AS roots,
        (SELECT count(*)::integer FROM keyward.log_key k WHERE k.tenant_id = t.tenant_id AND k.retired_at IS NOT NULL) AS "endedLogKeys"
      FROM keyward.tenant t LEFT JOIN keyward.tenant_root r USING (tenant_id) WHERE t.tenant_id <> 'platform' ORDER BY t.tenant_id`,
  );
  return rows;
}

export async function tableShapes(client: pg.Client): Promise<readonly TableShape[]> {
  const { rows } = await client.query<TableShape>(
    `SELECT c.relname::text AS table, array_agg(a.attname::text ORDER BY a.attnum) AS columns
      FROM pg_catalog.pg_class c JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
      WHERE c.relnamespace = 'keyward'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relname <> ALL ($1)
      GROUP BY c.relname ORDER BY c.relname`,
    [OF_THE_CODE],
  );
  return rows;
}

export const quoted = (names: readonly string[]): string => names.map((name) => pg.escapeIdentifier(name)).join(', ');
