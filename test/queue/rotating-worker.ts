import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { BoundRules, type BindingChecks, type KeyRotationStore, type RotationParts, Snapshots } from '#core';
import { CasbinGrants, readModel } from '#grants';
import { untilThere } from '#http';
import { openWorkerStore } from '#persistence';
import { checkoutPath } from '#runtime';
import { Engine } from '../../apps/worker/jobs/engine.js';
import { Jobs } from '../../apps/worker/jobs/jobs.js';
import { rotateKeys } from '../../apps/worker/key-rotations.js';
import { doomed } from './doomed.js';

/** Where a worker can be killed or stopped, in the order in which one passes. */
export type RotationPoint = 'looked' | 'queued' | 'read' | 'before-custody' | 'before-effect' | 'after-effect' | 'told';

const settings = z.object({ databaseUrl: z.string(), redisUrl: z.string(), lockMs: z.int() });
const answer = z.object({ answers: z.string(), result: z.unknown() });

/**
 * A worker of its own process whose only job is the rotation of keys: the real rules, decisions, queue, looks, ledger and database. Custody
 * is its parent's, which keeps the keys of all workers: it is asked over the channel between them.
 */
const { databaseUrl, redisUrl, lockMs } = settings.parse(JSON.parse(process.argv[2] ?? ''));
const log = { error: () => undefined, warn: () => undefined, info: () => undefined };
const asked = new Map<string, (result: unknown) => void>();
const { tell, pass, passed } = doomed<RotationPoint>((message) => {
  const { answers, result } = answer.parse(message);
  asked.get(answers)?.(result);
  asked.delete(answers);
});
async function ask<Answer>(call: string, args: readonly unknown[]): Promise<Answer> {
  const id = randomUUID();
  const answered = new Promise<unknown>((resolve) => asked.set(id, resolve));
  await tell({ id, call, args });
  // What the parent answers is what its own custody did.
  return (await answered) as Answer;
}

const store = await untilThere(log, 'database', () => openWorkerStore({ url: databaseUrl, applicationName: 'rotating worker' }));
const custody: RotationParts['custody'] & Pick<BindingChecks, 'checkBindings'> = {
  capabilities: () => ask('capabilities', []),
  checkBindings: (rows) => ask('checkBindings', [rows]),
  rotateKey: async (_permit, order) => {
    await pass('before-custody');
    return await ask('rotateKey', [order]);
  },
};
const rotations: KeyRotationStore = {
  dueRotations: (of) => (of === undefined ? store.rotations.dueRotations() : passed(store.rotations.dueRotations(of), 'read')),
  wornKeys: () => Promise.resolve([]),
  root: (tenant) => store.rotations.root(tenant),
  rotate: async (changes) => {
    await tell({ rotates: changes.map(({ due }) => due.keyId) });
    await pass('before-effect');
    return await passed(store.rotations.rotate(changes), 'after-effect');
  },
};
const grants = new CasbinGrants(readModel(checkoutPath('policies', 'model.conf')));
const snapshots = new Snapshots(new BoundRules(store.rules, custody), grants);
const [kind] = rotateKeys({ rotations, custody, grants, snapshots, apartMs: 0 });
const jobs = new Jobs({
  kinds: [{ ...kind!, everyMs: 20 }],
  ledger: {
    claim: (kinds) => passed(store.jobs.claim(kinds), 'looked'),
    done: (name, of) => passed(store.jobs.done(name, of), 'told'),
    failed: (name, of, error) => store.jobs.failed(name, of, error, [20]),
  },
  log,
});
const engine = await untilThere(log, 'queue', () => Engine.start({ at: { redisUrl }, lockMs, run: (job) => jobs.run(job), log }));
const queue = { add: (added: Parameters<Engine['add']>[0]) => passed(engine.add(added), 'queued') };
for (;;) {
  await jobs.look(queue).catch(() => undefined);
  await sleep(20);
}
