import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { api, must } from '../../stories/api.js';
import { asSuperuser } from '../../stories/signed.js';
import { childrenOf } from '../children-of.js';
import { cutFunctions, FENCE, type FunctionCut } from '../cut-function.js';
import { dueNow } from './calendar.js';
import { byTheClock } from './checks/fence.js';
import type { Cut } from './cut.js';
import { itemsIn } from './evidence.js';
import type { FaultWorld } from './fault-world.js';
import { FAULTS } from './faults.js';
import type { LedgerCall } from './ledger.js';
import type { Property } from './properties.js';

/** A guard that is switched off, and what the checker must then say of the property that it guards. */
export interface Control {
  readonly property: Property;
  readonly guard: string;
  readonly finds: RegExp;
  readonly cuts?: readonly Cut[];
  /** Of the processes that run what is cut. */
  readonly of?: readonly string[];
  readonly functions?: readonly FunctionCut[];
  /** Settings of the database, one statement each. */
  readonly settings?: readonly string[];
  /** Under load: until something must have happened that the guard would not have let happen. */
  happen(world: FaultWorld, calls: () => Promise<readonly LedgerCall[]>): Promise<void>;
}

const PATIENCE_MS = 120_000;

async function until(holds: () => Promise<boolean>): Promise<void> {
  for (const deadline = performance.now() + PATIENCE_MS; !(await holds()); await sleep(100))
    if (performance.now() > deadline) throw new Error('It did not come to pass.');
}

/** No guard: a rotation that is attempted twice at once, as by two workers, of which neither knows the other. */
export const TWICE: Cut = {
  module: 'libs/core/automatic-rotation.js',
  find: 'const { isDone, failed } = await attemptRotations(parts, some);',
  put: 'const [{ isDone, failed }] = await Promise.all([attemptRotations(parts, some), attemptRotations(parts, some)]);',
};

const PLANES = ['data-plane-1', 'data-plane-2'];

/** These may be off together: each is seen by words of its own. */
export const CONTROLS: readonly Control[] = [
  {
    property: 'completeness',
    guard: 'the answer waits until its record is durable',
    finds: /no record at \d+ has its request id|1 successes, of which 0 are recorded/,
    of: PLANES,
    cuts: [
      {
        module: 'libs/core/pipeline.js',
        find: 'await trail.append(success)',
        put: "(Math.random() < 0.5 ? { verdict: 'durable', seq: 1n } : await trail.append(success))",
      },
    ],
    // None of these by chance: once in 2³⁰.
    happen: (_, calls) => until(async () => (await calls()).filter(({ op, status }) => op === 'Encrypt' && status === 200).length >= 30),
  },
  {
    property: 'fence',
    guard: 'the append compares the epoch',
    finds: /was accepted behind/,
    functions: [FENCE],
    happen: (_, calls) => until(async () => byTheClock(await calls()).length > 0),
  },
  {
    property: 'exactly once',
    guard: 'a rotation compares what it found with what is there',
    finds: /is no next link of its chain|due \d+ times, rotated/,
    of: ['worker'],
    cuts: [TWICE],
    functions: [FENCE, ['rotate_key', 'AND primary_version = before', ''], ['rotate_key', 'AND next_at = due AND (', 'AND (true OR ']],
    happen: ({ onboarded, calendar }) =>
      until(() => asSuperuser(onboarded.platform.superuserUrl, async (client) => (await dueNow(client, calendar)).rotations === 0)),
  },
  {
    property: 'isolation',
    guard: "a person's calls are about the own tenant",
    finds: /auditor was answered .* of another tenant's/,
    of: ['auditor'],
    cuts: [
      {
        module: 'libs/core/decide.js',
        find: "principal.role !== 'service' && principal.tenant !== call.tenant",
        put: 'false',
      },
    ],
    happen: (_, calls) =>
      until(async () =>
        (await calls()).some(({ by, status, about }) => by.endsWith('-auditor') && status === 200 && about['foreign'] === true),
      ),
  },
  {
    property: 'decryptability',
    guard: 'a version that something needs is not retired',
    finds: /ciphertext opens/,
    of: ['key-plane'],
    cuts: [{ module: 'libs/core/handlers/version-end.js', find: 'if (first !== undefined) throw', put: 'if (false) throw' }],
    happen: async ({ onboarded: { platform }, customers: { acme } }, calls) => {
      const path = `/v1/tenants/acme/keys/${acme.rotating[1]!}`;
      const isSealed = ({ got }: LedgerCall) =>
        itemsIn(got).some(({ ciphertext, keyId }) => ciphertext !== undefined && keyId === acme.rotating[1]);
      await until(async () => (await calls()).some(isSealed));
      const { body } = await must(platform.urls.keyPlane, acme.admin, 'GET', `${path}/versions?limit=100`);
      // Others change the key meanwhile; what cannot be done now may be asked again.
      for (const { keyVersionId } of body['items'] as { keyVersionId: string }[])
        await until(async () => {
          const retire = `${path}/versions/${keyVersionId}/retire`;
          return (await api(platform.urls.keyPlane, acme.admin, 'POST', retire, { confirm: keyVersionId })).status !== 503;
        });
    },
  },
];

/** The last one on a platform: afterwards its trail has gone back, and nobody signs it any more. */
export const LOSS: Control = {
  property: 'nothing lost',
  guard: 'a commit is durable before it is answered',
  finds: /is not there|another tree of|shown another record/,
  of: ['key-plane', ...PLANES, 'auditor', 'worker'],
  cuts: [{ module: 'libs/persistence/startup.js', find: "'remote_apply'", put: "'remote_apply', 'off'" }],
  settings: ['ALTER ROLE ALL SET synchronous_commit = off'],
  functions: [['trail_append', "IN ('on', 'remote_apply')", "IN ('on', 'remote_apply', 'off')"]],
  happen: async (world, calls) => {
    const { superuserUrl, postgres } = world.onboarded.platform;
    const flushes = (pid: number) => readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('walwriter');
    process.kill(childrenOf(postgres.pid).find(flushes)!, 'SIGSTOP');
    const signed = () =>
      asSuperuser(superuserUrl, async (client) => {
        const { rows } = await client.query<{ size: string }>(`SELECT size FROM keyward.trail_checkpoint WHERE tenant_id = 'acme'`);
        return Number(rows[0]!.size);
      });
    const before = await signed();
    await until(async () => (await calls()).filter(({ op, status }) => op === 'Encrypt' && status === 200).length >= 30);
    await until(async () => (await signed()) > before);
    await FAULTS['kill -9 of all of PostgreSQL']!.begin(world, 'postgres', Math.random);
  },
};

/** Switches guards off; answers what puts them back. */
export async function switchOff(world: FaultWorld, controls: readonly Control[]): Promise<() => Promise<void>> {
  const { superuserUrl } = world.onboarded.platform;
  const victims = [...new Set(controls.flatMap(({ of = [] }) => of))];
  const functions = [...new Set(controls.flatMap((control) => control.functions ?? []))];
  const restore = await asSuperuser(superuserUrl, async (client) => {
    for (const setting of controls.flatMap(({ settings = [] }) => settings)) await client.query(setting);
    return await cutFunctions(client, ...functions);
  });
  world.cut(controls.flatMap(({ cuts = [] }) => cuts));
  await restart(world, victims);
  return async () => {
    await asSuperuser(superuserUrl, restore);
    world.cut([]);
    await restart(world, victims);
  };
}

/** Killed, and ready again with what they now are. */
async function restart({ onboarded: { platform } }: FaultWorld, names: readonly string[]): Promise<void> {
  const before = names.map((name) => [platform.processes.get(name)!, platform.processes.get(name)!.pid] as const);
  for (const [supervised] of before) supervised.kill('SIGKILL');
  for (const [supervised, pid] of before) {
    while (supervised.pid === undefined || supervised.pid === pid) await sleep(20);
    await supervised.ready();
  }
}
