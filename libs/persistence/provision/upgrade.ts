import type { Provisioning } from './provision.js';
import { migrating } from './provision.js';

export interface Upgrade {
  /** Names of migrations that the database has not had yet, in their order. */
  readonly pending: readonly string[];
  readonly tookMs: number;
}

/** The database is of a newer version than this code. */
export class NewerSchema extends Error {
  override readonly name = 'NewerSchema';
}

/** Waits this long for a table that somebody uses; then the upgrade is refused, and nothing is half done. */
const LOCK_TIMEOUT_MS = 5000;

/**
 * Brings an existing database to this version's schema, one transaction a migration. `dryRun`: carries out all of it in one transaction, and
 * rolls that back.
 * @throws NewerSchema
 */
export async function upgradeDatabase(superuserUrl: string, migrations: Provisioning['migrations'], dryRun: boolean): Promise<Upgrade> {
  let upgrade: Upgrade = { pending: [], tookMs: 0 };
  await migrating(superuserUrl, migrations, async (source) => {
    const rows: { name: string }[] = await source.query('SELECT name FROM keyward.schema_migration');
    const applied = new Set(rows.map(({ name }) => name));
    const known = new Map(source.migrations.map((migration) => [migration.name ?? '', migration]));
    const unknown = [...applied].find((name) => !known.has(name));
    if (unknown !== undefined) throw new NewerSchema(`The database is of a newer Keyward: it has had ${unknown}.`);
    const pending = [...known].filter(([name]) => !applied.has(name));
    const begun = performance.now();
    const runner = source.createQueryRunner();
    try {
      await runner.query(`SET lock_timeout = ${LOCK_TIMEOUT_MS}`);
      if (dryRun) {
        await runner.startTransaction();
        for (const [, migration] of pending) await migration.up(runner);
        await runner.rollbackTransaction();
      }
    } finally {
      await runner.release();
    }
    if (!dryRun) await source.runMigrations({ transaction: 'each' });
    upgrade = { pending: pending.map(([name]) => name), tookMs: performance.now() - begun };
  });
  return upgrade;
}
