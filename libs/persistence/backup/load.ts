import { pipeline } from 'node:stream/promises';
import pg from 'pg';
import { inDatabase, provision, type Provisioning } from '../provision/provision.js';
import { DATABASE } from '../provision/roles.js';
import { CopyIn } from './copy-streams.js';
import { type LogSize, quoted, tableShapes, type TableShape } from './snapshot.js';
import { asBackupSuperuser } from './superuser.js';
import { type CheckedTrail, checkTrails, type SignedTree } from './trails.js';
import { stopWhoWentBack } from './stops.js';
import { countUnseenSeals } from './unseen-seals.js';
import { beginWaitsAnew } from './waits.js';

export interface Loading extends Provisioning {
  /** Names of the migrations that the rows fit. */
  readonly applied: readonly string[];
  readonly shapes: readonly TableShape[];
  /** Calls `load` with each table's bytes, as `DatabaseSnapshot.copy` gave them; answers how many rows each must have had. */
  readonly tables: (load: (table: string, bytes: AsyncIterable<Uint8Array>) => Promise<void>) => Promise<ReadonlyMap<string, number>>;
  /** What the archive says of its rows; undefined: it is from before archives said so. */
  readonly logs: readonly LogSize[] | undefined;
  /** When its rows were read. */
  readonly taken: Date;
  readonly remembered: readonly SignedTree[];
  readonly onChecked: (trail: CheckedTrail) => void;
}

/** The archive and this place do not fit; the message says what to do. */
export class RestoreRefused extends Error {
  override readonly name = 'RestoreRefused';
}

/**
 * Makes the database of an archive: roles and schema from our own migrations, then the rows, all of them or none. The newest migrations come
 * last, as in an upgrade.
 * @throws RestoreRefused for a database that is there already, rows of another schema, too few rows, a tenant that is missing, or a trail that
 * is not what was signed
 */
export async function loadDatabase(loading: Loading): Promise<readonly CheckedTrail[]> {
  const { superuserUrl, migrations, applied, passwords } = loading;
  const unknown = applied.filter((name) => !migrations.some((made) => new made().name === name));
  if (unknown.length > 0) throw new RestoreRefused(`The archive is of a newer Keyward: migration ${unknown.at(-1)} is not known here.`);
  await refuseExisting(superuserUrl);
  await provision({ superuserUrl, passwords, migrations: migrations.filter((made) => applied.includes(new made().name ?? '')) });
  const checked = await asBackupSuperuser(inDatabase(superuserUrl), (client) => loadRows(client, loading));
  await provision({ superuserUrl, passwords, migrations });
  await asBackupSuperuser(inDatabase(superuserUrl), async (client) => {
    await countUnseenSeals(client, loading.taken, new Date());
    await stopWhoWentBack(client, checked);
  });
  return checked;
}

async function refuseExisting(superuserUrl: string): Promise<void> {
  const isThere = await asBackupSuperuser(superuserUrl, async (client) => {
    const { rowCount } = await client.query('SELECT FROM pg_catalog.pg_database WHERE datname = $1', [DATABASE]);
    return rowCount !== 0;
  });
  if (isThere) throw new RestoreRefused(`The server has a database "${DATABASE}" already. Restore into a server without one.`);
}

async function loadRows(
  client: pg.Client,
  { shapes, tables, logs = [], remembered, onChecked }: Loading,
): Promise<readonly CheckedTrail[]> {
  await client.query('BEGIN');
  // Rows come as they were: triggers would move epochs and refuse records, foreign keys would want an order. Ends with the transaction.
  await client.query('SET LOCAL session_replication_role = replica');
  const known = await tableShapes(client);
  if (JSON.stringify(known) !== JSON.stringify(shapes)) throw new RestoreRefused('The tables of the archive are not those of its schema.');
  await client.query(`TRUNCATE ${known.map(({ table }) => `keyward.${pg.escapeIdentifier(table)}`).join(', ')}`);
  const loaded = new Map<string, number>();
  const expected = await tables(async (name, bytes) => {
    const shape = known.find(({ table }) => table === name);
    if (shape === undefined) throw new RestoreRefused(`There is no table "${name}".`);
    loaded.set(name, await loadTable(client, shape, bytes));
  });
  for (const { table } of known)
    if (loaded.get(table) !== expected.get(table))
      throw new RestoreRefused(`Table ${table} has ${loaded.get(table) ?? 0} rows, ${expected.get(table) ?? 0} were saved.`);
  const checked = await checkTrails(client, remembered, onChecked);
  const lost = logs.find((log) => !checked.some(({ tenant, records }) => tenant === log.tenant && records === log.records));
  if (lost !== undefined) throw new RestoreRefused(`The archive says that it has ${lost.tenant} with ${lost.records} records; it has not.`);
  const wrong = checked.find(({ problem }) => problem !== undefined);
  if (wrong !== undefined) throw new RestoreRefused(`The trail of ${wrong.tenant} is not what was signed: ${wrong.problem}.`);
  await beginWaitsAnew(client, known);
  await client.query('COMMIT');
  await client.query('ANALYZE');
  return checked;
}

async function loadTable(client: pg.Client, { table, columns }: TableShape, bytes: AsyncIterable<Uint8Array>): Promise<number> {
  const sql = `COPY keyward.${pg.escapeIdentifier(table)} (${quoted(columns)}) FROM STDIN (FORMAT binary)`;
  const into = client.query(new CopyIn(sql));
  await pipeline(bytes, into);
  return into.rows;
}
