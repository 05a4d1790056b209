import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import type { EndedVersion, Endings, WrappedKeyVersion } from '#core';
import { untilThere } from '#http';
import { openWorkerStore } from '#persistence';
import { destroyKeys } from '../../apps/worker/destructions.js';
import { Engine } from '../../apps/worker/jobs/engine.js';
import { Jobs } from '../../apps/worker/jobs/jobs.js';

/** Where a worker can be killed or stopped, in the order in which one passes. */
export const POINTS = ['looked', 'queued', 'read', 'before-effect', 'after-effect', 'told'] as const;
export type Point = (typeof POINTS)[number];

const settings = z.object({ databaseUrl: z.string(), redisUrl: z.string().optional(), lockMs: z.int() });
export type Settings = z.infer<typeof settings>;
/** What its parent tells it: to go no further than this point, once. */
const doom = z.object({ at: z.enum(POINTS), by: z.enum(['SIGKILL', 'SIGSTOP']) });
export type Doom = z.infer<typeof doom>;
/** What it tells its parent. */
export const told = z.union([z.object({ passes: z.enum(POINTS) }), z.object({ destroys: z.string() })]);

/**
 * A worker of its own process whose only job is scheduled deletion: the real queue, looks, ledger and database. Custody is a MAC of zeros:
 * what it answers is stored and never read here.
 */
const { databaseUrl, redisUrl, lockMs } = settings.parse(JSON.parse(process.argv[2] ?? ''));
const log = { error: () => undefined, warn: () => undefined, info: () => undefined };
const store = await untilThere(log, 'database', () => openWorkerStore({ url: databaseUrl, applicationName: 'dying worker' }));
let next: Doom | undefined;
process.on('message', (message) => (next = doom.parse(message)));
process.on('disconnect', () => process.exit(0));

const tell = (message: z.infer<typeof told>) => new Promise((resolve) => process.send!(message, resolve));
async function pass(point: Point): Promise<void> {
  if (next?.at !== point) return;
  const { by } = next;
  next = undefined;
  await tell({ passes: point });
  process.kill(process.pid, by);
  // A stop takes effect a moment after the call.
  await sleep(50);
}
async function passed<Answer>(work: Promise<Answer>, point: Point): Promise<Answer> {
  const answer = await work;
  await pass(point);
  return answer;
}

const endings: Endings = {
  dueDeletions: (of) => (of === undefined ? store.endings.dueDeletions() : passed(store.endings.dueDeletions(of), 'read')),
  key: (tenant, keyId) => store.endings.key(tenant, keyId),
  destroy: async (destruction) => {
    await tell({ destroys: destruction.keyId });
    return await passed(store.endings.destroy(destruction), 'after-effect');
  },
  receiptsOwed: () => Promise.resolve([]),
  saveReceipt: () => Promise.resolve(),
};
const zeros = new Uint8Array(32);
const custody = {
  makeTombstone: async ({ versionId }: WrappedKeyVersion): Promise<EndedVersion & { readonly tombstoneMac: Uint8Array }> => {
    await pass('before-effect');
    return { versionId, mac: zeros, tombstoneMac: zeros };
  },
  shreddingReceipt: () => Promise.resolve(''),
  keepTombstone: () => Promise.resolve(),
};
const jobs = new Jobs({
  kinds: [{ ...destroyKeys({ endings, custody, seenDueForMs: 0 }), everyMs: 20 }],
  ledger: {
    claim: (kinds) => passed(store.jobs.claim(kinds), 'looked'),
    done: (kind, of) => passed(store.jobs.done(kind, of), 'told'),
    failed: (kind, of, error) => store.jobs.failed(kind, of, error, [20]),
  },
  log,
});
const at = redisUrl === undefined ? { databaseUrl } : { redisUrl };
const engine = await untilThere(log, 'queue', () => Engine.start({ at, lockMs, run: (job) => jobs.run(job), log }));
const queue = { add: (added: Parameters<Engine['add']>[0]) => passed(engine.add(added), 'queued') };
for (;;) {
  await jobs.look(queue).catch(() => undefined);
  await sleep(20);
}
