import pg from 'pg';
import { DataSource, type MigrationInterface } from 'typeorm';
import { createDatabase, createRoles, createSchema, DATABASE } from './roles.js';

export interface Provisioning {
  /** A superuser's URL, to any database of the server. */
  readonly superuserUrl: string;
  /** Password by role; a role without one cannot log in. */
  readonly passwords: Readonly<Record<string, string>>;
  readonly migrations: readonly (new () => MigrationInterface)[];
}

/** Creates roles, database and schema where they are missing, and migrates as keyward_owner. May run at every start. */
export async function provision({ superuserUrl, passwords, migrations }: Provisioning): Promise<void> {
  await asSuperuser(superuserUrl, async (client) => {
    await createRoles(client, passwords);
    await createDatabase(client);
  });
  await asSuperuser(inDatabase(superuserUrl), createSchema);
  await migrating(superuserUrl, migrations, async (source) => {
    await source.runMigrations({ transaction: 'each' });
  });
}

/** Runs `work` with a source whose every session is keyward_owner's: what migrations make belongs to it. */
export async function migrating(
  superuserUrl: string,
  migrations: Provisioning['migrations'],
  work: (source: DataSource) => Promise<void>,
): Promise<void> {
  const source = new DataSource({
    type: 'postgres',
    url: inDatabase(superuserUrl),
    schema: 'keyward',
    migrations: [...migrations],
    migrationsTableName: 'schema_migration',
    synchronize: false,
    installExtensions: false,
    poolSize: 1,
    extra: { options: '-c role=keyward_owner' },
  });
  await source.initialize();
  try {
    await work(source);
  } finally {
    await source.destroy();
  }
}

/** The same server's database of the platform. */
export function inDatabase(url: string): string {
  const parsed = new URL(url);
  parsed.pathname = `/${DATABASE}`;
  return parsed.href;
}

async function asSuperuser(url: string, work: (client: pg.Client) => Promise<void>): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    await work(client);
  } finally {
    await client.end();
  }
}
