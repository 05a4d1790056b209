import type pg from 'pg';
import { KeywardError } from '#core';
import { reading } from './database-error.js';

/** Migrations this code needs; later ones are fine, because each is made to run with old and new code. */
export const SCHEMA_VERSION = 202;

/** What must be true of the server, or an answer could outlive its record. */
const DURABLE: Readonly<Record<string, readonly string[]>> = {
  fsync: ['on'],
  full_page_writes: ['on'],
  synchronous_commit: ['on', 'remote_apply'],
};

export interface Startup {
  /** For the log: what an operator should know. */
  readonly warnings: readonly string[];
}

/**
 * Looks at the database before a process serves.
 * @throws KeywardError unavailable; `reason` names the setting, or the schema version, that does not fit
 */
export async function checkStartup(pool: pg.Pool): Promise<Startup> {
  return await reading(async () => {
    const { rows: settings } = await pool.query<{ name: string; setting: string }>(
      `SELECT name, setting FROM pg_catalog.pg_settings WHERE name = ANY ($1)`,
      [[...Object.keys(DURABLE), 'synchronous_standby_names']],
    );
    const valueOf = (name: string) => settings.find((row) => row.name === name)?.setting ?? '';
    for (const [name, accepted] of Object.entries(DURABLE)) {
      if (!accepted.includes(valueOf(name))) throw unfit(`${name} must be ${accepted.join(' or ')}`);
    }
    const { rows: versions } = await pool.query<{ installed: number | null }>(
      'SELECT max(timestamp)::int AS installed FROM keyward.schema_migration',
    );
    const installed = versions[0]?.installed ?? 0;
    if (installed < SCHEMA_VERSION) throw unfit(`schema version ${installed}, needs ${SCHEMA_VERSION}: run the migrations`);
    const { rows: slots } = await pool.query<{ standbys: string }>(
      `SELECT count(*)::text AS standbys FROM pg_catalog.pg_replication_slots WHERE slot_type = 'physical'`,
    );
    const asynchronous = slots[0]?.standbys !== '0' && valueOf('synchronous_standby_names') === '';
    return { warnings: asynchronous ? ['standbys are asynchronous: a failover may lose acknowledged records and stops (RPO > 0)'] : [] };
  });
}

const unfit = (reason: string) => new KeywardError('unavailable', '', { reason: `database: ${reason}` });
