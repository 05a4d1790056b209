import pg from 'pg';
import { scramVerifier } from './scram.js';

export const DATABASE = 'keyward';

/** Who logs in. keyward_functions never does: it owns the functions that work across tenants. keyward_owner owns the rest. */
const LOGIN_ROLES = ['keyward_owner', 'keyward_key_plane', 'keyward_data_plane', 'keyward_auditor', 'keyward_worker'] as const;
const PLANES = LOGIN_ROLES.slice(1);

/** A plane that hangs must not hold locks for long; a long reader would keep every dead version of a tenant's head. */
const TIMEOUTS: readonly (readonly [role: string, setting: string, value: string])[] = [
  ...PLANES.flatMap((role) => [[role, 'lock_timeout', '1s'] as const, [role, 'idle_in_transaction_session_timeout', '2s'] as const]),
  ['keyward_auditor', 'statement_timeout', '10s'],
  ['keyward_worker', 'statement_timeout', '30s'],
];

/** Creates what is missing and puts the rest right; may run at every start. `client` is a superuser's. */
export async function createRoles(client: pg.Client, passwords: Readonly<Record<string, string>>): Promise<void> {
  await createRole(client, 'keyward_functions', 'NOLOGIN');
  for (const role of LOGIN_ROLES) {
    const password = passwords[role];
    await createRole(client, role, password === undefined ? 'NOLOGIN' : `LOGIN PASSWORD ${pg.escapeLiteral(scramVerifier(password))}`);
  }
  // It hands functions over (ALTER … OWNER), and inherits nothing by that.
  await client.query('GRANT keyward_functions TO keyward_owner');
  for (const [role, setting, value] of TIMEOUTS) await client.query(`ALTER ROLE ${role} SET ${setting} = '${value}'`);
}

/** The database, and who may do what in it as a whole. `client` is a superuser's, in another database. */
export async function createDatabase(client: pg.Client): Promise<void> {
  const { rowCount } = await client.query('SELECT FROM pg_catalog.pg_database WHERE datname = $1', [DATABASE]);
  if (rowCount === 0) await client.query(`CREATE DATABASE ${DATABASE} OWNER keyward_owner ENCODING 'UTF8' TEMPLATE template0`);
  // Temporary tables could shadow real ones; every plane is let in by name.
  await client.query(`REVOKE ALL ON DATABASE ${DATABASE} FROM PUBLIC`);
  await client.query(`GRANT CONNECT ON DATABASE ${DATABASE} TO ${PLANES.join(', ')}`);
}

/** `client` is a superuser's, in the database. */
export async function createSchema(client: pg.Client): Promise<void> {
  await client.query('REVOKE ALL ON SCHEMA public FROM PUBLIC');
  await client.query('CREATE SCHEMA IF NOT EXISTS keyward AUTHORIZATION keyward_owner');
}

async function createRole(client: pg.Client, role: string, login: string): Promise<void> {
  const { rowCount } = await client.query('SELECT FROM pg_catalog.pg_roles WHERE rolname = $1', [role]);
  const verb = rowCount === 0 ? 'CREATE' : 'ALTER';
  await client.query(`${verb} ROLE ${role} NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS NOINHERIT ${login}`);
}
