import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import type { Onboarded } from './onboarded.js';

const PATIENCE_MS = 15_000;

/** Runs statements as the database's superuser, past the triggers that keep records as they are. */
export async function tamper({ platform }: Onboarded, ...statements: readonly string[]): Promise<void> {
  await asSuperuser(platform.superuserUrl, async (client) => {
    await client.query('SET session_replication_role = replica');
    for (const statement of statements) await client.query(statement);
  });
}

/** The size of a tenant's newest checkpoint, once it covers `size` records. */
export async function signedSize({ platform }: Onboarded, tenant: string, size: number): Promise<number> {
  return await asSuperuser(platform.superuserUrl, async (client) => {
    const deadline = performance.now() + PATIENCE_MS;
    for (;;) {
      const { rows } = await client.query<{ size: string }>('SELECT size FROM keyward.trail_checkpoint WHERE tenant_id = $1', [tenant]);
      const signed = Number(rows[0]?.size ?? 0);
      if (signed >= size) return signed;
      if (performance.now() > deadline) throw new Error(`Only ${signed} of ${size} records of ${tenant} are signed.`);
      await sleep(100);
    }
  });
}

export async function asSuperuser<Answer>(url: string, work: (client: pg.Client) => Promise<Answer>): Promise<Answer> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}
