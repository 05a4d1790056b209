import { Agent, request } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import type { BenchOptions, Result } from './result.js';
import { rounded } from './result.js';
import { startWorld, type World } from './world.js';

const RECORDS_A_SECOND = 2000;
const TICK_MS = 10;

/** From a record to the first signed checkpoint over it, both by the database's clock, while records come at an even rate. */
export async function checkpointDelay({ seconds, log }: BenchOptions): Promise<Result> {
  const world = await startWorld();
  try {
    await paced(world, 2);
    const from = await sizeOf(world);
    const reached = await paced(world, seconds);
    const to = await sizeOf(world);
    await sleep(3000);
    const { rows } = await world.database.query<{ p50: number; p99: number; max: number }>(
      `SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY ms) AS p50, percentile_cont(0.99) WITHIN GROUP (ORDER BY ms) AS p99, max(ms) AS max
         FROM keyward.trail_record r, LATERAL (
           SELECT extract(epoch FROM c.signed_at - r.recorded_at)::float8 * 1000 AS ms FROM keyward.signed_checkpoint c
            WHERE c.tenant_id = 'acme' AND c.size > r.seq ORDER BY c.size LIMIT 1) d
        WHERE r.tenant_id = 'acme' AND r.seq >= $1 AND r.seq < $2`,
      [from, to],
    );
    const { p50, p99, max } = rows[0]!;
    log(`checkpoints: ${reached.toFixed(0)} records/s, p99 ${p99.toFixed(0)} ms behind`);
    return {
      ...{ name: 'trail-checkpoint-delay', value: rounded(p99, 0), unit: 'ms (p99)', p50Ms: rounded(p50, 0), p99Ms: rounded(p99, 0) },
      ...{ maxMs: rounded(max, 0), recordsPerSecond: rounded(reached, 0), asked: RECORDS_A_SECOND },
    };
  } finally {
    await world.stop();
  }
}

/** Calls at an even rate, whatever the answers take; answers how many a second succeeded. */
async function paced({ platform, apiKey, call }: World, seconds: number): Promise<number> {
  const agent = new Agent({ keepAlive: true, maxSockets: 128 });
  const url = new URL('/v1/tenants/acme/data-keys', platform.urls.dataPlanes[0]);
  const body = JSON.stringify(call);
  const headers = { 'content-type': 'application/json', authorization: `Bearer ${apiKey}`, 'content-length': Buffer.byteLength(body) };
  let succeeded = 0;
  const under: Promise<void>[] = [];
  const from = performance.now();
  for (let sent = 0; performance.now() - from < 1000 * seconds; await sleep(TICK_MS)) {
    const due = ((performance.now() - from) / 1000) * RECORDS_A_SECOND;
    for (; sent < due; sent++)
      under.push(
        new Promise((resolve) => {
          const one = request(url, { method: 'POST', agent, headers }, (answer) => {
            if (answer.statusCode === 200) succeeded++;
            answer.resume().once('close', resolve);
          });
          one.once('error', () => resolve());
          one.end(body);
        }),
      );
  }
  const took = performance.now() - from;
  await Promise.all(under);
  agent.destroy();
  return (1000 * succeeded) / took;
}

async function sizeOf({ database }: World): Promise<number> {
  const { rows } = await database.query<{ size: string }>(`SELECT size FROM keyward.tenant_head WHERE tenant_id = 'acme'`);
  return Number(rows[0]?.size);
}
