import pg from 'pg';
import type { Epochs } from '#core';
import { Appender } from '#persistence';
import { anEntry, epochsOf, type TestDatabase, type TestTenant } from '../../libs/persistence/test-database.js';
import type { BenchOptions, Result } from './result.js';
import { median, percentile, rounded } from './result.js';

const IN_FLIGHT = 256;
const TENANTS = 50;
const PAIRS = 3;

/** Records a second through the appender, of one hot tenant and of fifty, each beside inserts of the same bytes, committed in the same batches. */
export async function appendRates(database: TestDatabase, { seconds, log }: BenchOptions): Promise<Result[]> {
  const names = Array.from({ length: TENANTS }, (_, index) => `tenant-${index}`);
  const tenants = [...(await database.addTenants('platform', ...names)).values()].slice(1);
  const epochs: Epochs[] = [];
  for (const name of names) epochs.push(await database.as('superuser', (client) => epochsOf(client, name)));
  await database.as('superuser', (client) => client.query('CREATE TABLE public.plain (id bigserial PRIMARY KEY, bytes bytea NOT NULL)'));
  const results: Result[] = [];
  for (const [name, some] of [
    ['trail-append-one-tenant', tenants.slice(0, 1)],
    ['trail-append-50-tenants', tenants],
  ] as const) {
    const pairs: { ours: Rate; plain: Rate }[] = [];
    for (let pair = 0; pair < PAIRS; pair++) {
      pairs.push({ ours: await appended(database, some, epochs, seconds), plain: await inserted(database, some[0]!, epochs[0]!, seconds) });
      log(`${name}: ${pairs.at(-1)!.ours.perSecond.toFixed(0)} records/s, plain inserts ${pairs.at(-1)!.plain.perSecond.toFixed(0)}/s`);
    }
    const of = (value: (pair: (typeof pairs)[number]) => number, digits = 0) => rounded(median(pairs.map(value)), digits);
    results.push({
      ...{ name, value: of(({ ours }) => ours.perSecond), unit: 'records/s', baseline: of(({ plain }) => plain.perSecond) },
      ratio: of(({ ours, plain }) => ours.perSecond / plain.perSecond, 3),
      ...{ p50Ms: of(({ ours }) => ours.p50Ms, 2), p99Ms: of(({ ours }) => ours.p99Ms, 2), inFlight: IN_FLIGHT, tenants: some.length },
    });
  }
  return results;
}

interface Rate {
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

async function appended(database: TestDatabase, tenants: readonly TestTenant[], epochs: readonly Epochs[], seconds: number): Promise<Rate> {
  const appender = new Appender(database.settings('keyward_data_plane'));
  try {
    return await measured(seconds, async (caller) => {
      const at = caller % tenants.length;
      const { verdict } = await appender.append(anEntry(tenants[at]!, epochs[at]!));
      if (verdict !== 'durable') throw new Error(verdict);
    });
  } finally {
    await appender.close();
  }
}

/** The same natural group commit, of the same batches, without anything that makes it a trail. */
async function inserted(database: TestDatabase, tenant: TestTenant, epochs: Epochs, seconds: number): Promise<Rate> {
  const client = new pg.Client({ connectionString: database.superuserUrl });
  await client.connect();
  let waiting: { bytes: Buffer; resolve: () => void }[] = [];
  let running = true;
  const flushing = (async () => {
    while (running) {
      const batch = waiting.splice(0, IN_FLIGHT / 4);
      if (batch.length === 0) await new Promise((resolve) => setImmediate(resolve));
      else
        await client.query({
          name: 'plain',
          text: 'INSERT INTO public.plain (bytes) SELECT unnest($1::bytea[])',
          values: [batch.map(({ bytes }) => bytes)],
        });
      for (const { resolve } of batch) resolve();
    }
  })();
  try {
    return await measured(seconds, () => {
      const bytes = Buffer.from(JSON.stringify(anEntry(tenant, epochs).body));
      return new Promise((resolve) => waiting.push({ bytes, resolve }));
    });
  } finally {
    running = false;
    await flushing;
    waiting = [];
    await client.end();
  }
}

async function measured(seconds: number, call: (caller: number) => Promise<void>): Promise<Rate> {
  const times: number[] = [];
  const from = performance.now();
  const until = from + 1000 * seconds;
  await Promise.all(
    Array.from({ length: IN_FLIGHT }, async (_, caller) => {
      for (let sent = performance.now(); sent < until; sent = performance.now()) {
        await call(caller);
        times.push(performance.now() - sent);
      }
    }),
  );
  const perSecond = (1000 * times.length) / (performance.now() - from);
  return { perSecond, p50Ms: percentile(times, 0.5), p99Ms: percentile(times, 0.99) };
}
