import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import type { EndedVersion, Endings, WrappedKeyVersion } from '#core';
import { untilThere } from '#http';
import { openWorkerStore } from '#persistence';
import { destroyKeys } from '../../apps/worker/destructions.js';
import { Engine } from '../../apps/worker/jobs/engine.js';
import { Jobs } from '../../apps/worker/jobs/jobs.js';
import { doomed } from './doomed.js';

/** Where a worker can be killed or stopped, in the order in which one passes. */
export type Point = 'looked' | 'queued' | 'read' | 'before-effect' | 'after-effect' | 'told';

const settings = z.object({ databaseUrl: z.string(), redisUrl: z.string().optional(), lockMs: z.int(), seenDueForMs: z.int().default(0) });

/**
 * A worker of its own process whose only job is scheduled deletion: the real queue, looks, ledger and database. Custody is a MAC of zeros:
 * what it answers is stored and never read here.
 */
const { databaseUrl, redisUrl, lockMs, seenDueForMs } = settings.parse(JSON.parse(process.argv[2] ?? ''));
const log = { error: () => undefined, warn: () => undefined, info: () => undefined };
const store = await untilThere(log, 'database', () => openWorkerStore({ url: databaseUrl, applicationName: 'dying worker' }));
const { tell, pass, passed } = doomed<Point>();

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
  kinds: [{ ...destroyKeys({ endings, custody, seenDueForMs }), everyMs: 20 }],
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
  await tell({ lookedAt: Date.now() });
  await sleep(20);
}
