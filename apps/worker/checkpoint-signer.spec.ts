import { createHash } from 'node:crypto';
import type { TenantId } from '#contract';
import type { Checkpoints, CheckpointSigner, Clock, LogToSign } from '#core';
import { leafHash, treeRoot } from '#trail';
import { CheckpointRounds } from './checkpoint-signer.js';

const hash = (n: number) => leafHash(createHash('sha256').update(String(n)).digest());

/** Logs in memory: how many records each has, what was signed and saved, what was read. */
class World implements Checkpoints, CheckpointSigner, Clock {
  readonly sizes = new Map<string, number>();
  readonly saved = new Map<string, { size: bigint; root: Uint8Array; note: string }>();
  readonly reads: [string, bigint, bigint][] = [];
  readonly told: string[] = [];
  broken: string | undefined;
  reason = 'refused';
  time = 0;
  leads = true;

  async logsToSign(): Promise<LogToSign[]> {
    const logs = [...this.sizes].map(([tenant, size]) => ({
      tenant: tenant as TenantId,
      logId: `log_${tenant}`,
      origin: `o/${tenant}`,
      size: BigInt(size),
      signedSize: this.saved.get(tenant)?.size ?? 0n,
    }));
    return logs.filter(({ size, signedSize }) => size > signedSize);
  }
  async leafHashes(tenant: TenantId, from: bigint, to: bigint): Promise<Uint8Array[]> {
    this.reads.push([tenant, from, to]);
    return Array.from({ length: Number(to - from) }, (_, i) => hash(Number(from) + i));
  }
  async save(tenant: TenantId, checkpoint: { size: bigint; root: Uint8Array; note: string }): Promise<void> {
    this.saved.set(tenant, checkpoint);
  }
  async asLeader(work: () => Promise<void>): Promise<boolean> {
    if (this.leads) await work();
    return this.leads;
  }
  async signCheckpoint(tenant: TenantId, log: { logId: string; origin: string }, size: bigint): Promise<string> {
    if (tenant === this.broken) throw new Error(this.reason);
    return `${log.origin} ${size}`;
  }
  now(): Date {
    return new Date(this.time);
  }
  error(_fields: object, message: string): void {
    this.told.push(message);
  }
}

const rootOfFirst = (size: number) => treeRoot(Array.from({ length: size }, (_, i) => hash(i)));

let world: World;
let rounds: CheckpointRounds;
beforeEach(() => {
  world = new World();
  rounds = new CheckpointRounds(world, world, world, world);
});

it('signs each log that has grown, over the root of all its leaves', async () => {
  world.sizes.set('acme', 7).set('globex', 1);
  await rounds.round();
  expect(world.saved.get('acme')).toMatchObject({ size: 7n, note: 'o/acme 7', root: rootOfFirst(7) });
  expect(world.saved.get('globex')).toMatchObject({ size: 1n, root: rootOfFirst(1) });
});

it('reads only the new leaves of a log that it knows', async () => {
  world.sizes.set('acme', 5);
  await rounds.round();
  world.sizes.set('acme', 9);
  await rounds.round();
  expect(world.reads).toEqual([
    ['acme', 0n, 5n],
    ['acme', 5n, 9n],
  ]);
  expect(world.saved.get('acme')?.root).toEqual(rootOfFirst(9));
});

it('reads long logs in pages', async () => {
  world.sizes.set('acme', 20_001);
  await rounds.round();
  expect(world.reads.map(([, from, to]) => Number(to - from))).toEqual([10_000, 10_000, 1]);
});

it('does not let one log that cannot be signed keep the others waiting, and starts it over', async () => {
  world.sizes.set('acme', 3).set('globex', 2);
  world.broken = 'acme';
  await rounds.round();
  expect([world.saved.has('acme'), world.saved.has('globex'), world.told]).toEqual([false, true, ['a log could not be signed']]);
  world.broken = undefined;
  await rounds.round();
  expect(world.saved.get('acme')?.root).toEqual(rootOfFirst(3));
});

it('tells of a log that goes on being refused once a minute, and of another reason at once', async () => {
  world.sizes.set('acme', 3);
  world.broken = 'acme';
  const toldAt = async (seconds: number) => {
    world.told.length = 0;
    world.time = 1000 * seconds;
    await rounds.round();
    return world.told.length;
  };
  expect([await toldAt(0), await toldAt(1), await toldAt(59), await toldAt(60), await toldAt(61)]).toEqual([1, 0, 0, 1, 0]);
  world.reason = 'another origin';
  expect([await toldAt(62), await toldAt(63)]).toEqual([1, 0]);
  world.broken = undefined;
  await rounds.round();
  world.sizes.set('acme', 4);
  world.broken = 'acme';
  expect(await toldAt(64)).toBe(1);
});

it('does nothing without the lead', async () => {
  world.sizes.set('acme', 3);
  world.leads = false;
  await rounds.round();
  expect(world.saved.size).toBe(0);
});
