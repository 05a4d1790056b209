import { createHash } from 'node:crypto';
import type { TenantId } from '#contract';
import type { Checkpoints, CheckpointSigner, ClaimedTree, Clock, LogToSign, TrailNode } from '#core';
import { EMPTY_ROOT, leafHash, treeRoot, verifyConsistency } from '#trail';
import { CheckpointRounds } from './checkpoint-signer.js';

const hash = (n: number) => leafHash(createHash('sha256').update(String(n)).digest());

/** Logs in memory: how many records each has, what was signed and saved, what was read. */
class World implements Checkpoints, CheckpointSigner, Clock {
  readonly sizes = new Map<string, number>();
  readonly signed = new Map<string, { size: bigint; root: Uint8Array }>();
  readonly nodes = new Map<string, TrailNode[]>();
  readonly counted = new Map<string, bigint>();
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
      keys: [1],
      signedSize: this.saved.get(tenant)?.size ?? 0n,
    }));
    return logs.filter(({ size, signedSize }) => size > signedSize);
  }
  async leafHashes(tenant: TenantId, from: bigint, to: bigint): Promise<Uint8Array[]> {
    this.reads.push([tenant, from, to]);
    return Array.from({ length: Number(to - from) }, (_, i) => hash(Number(from) + i));
  }
  async tileHashes(tenant: TenantId, level: number, index: number, width: number): Promise<Uint8Array[]> {
    const from = 256 * index;
    if (level === 0) return Array.from({ length: width }, (_, i) => hash(from + i));
    return [...(this.nodes.get(tenant) ?? [])]
      .filter((node) => node.level === level && node.index >= from && node.index < from + width)
      .map((node) => node.hash);
  }
  async saveNodes(tenant: TenantId, nodes: readonly TrailNode[]): Promise<void> {
    this.nodes.set(tenant, [...(this.nodes.get(tenant) ?? []), ...nodes]);
  }
  async save(tenant: TenantId, checkpoint: { size: bigint; root: Uint8Array; note: string }): Promise<void> {
    this.saved.set(tenant, checkpoint);
  }
  async rollUp(tenant: TenantId, size: bigint): Promise<void> {
    this.counted.set(tenant, size);
  }
  async asLeader(work: () => Promise<void>): Promise<boolean> {
    if (this.leads) await work();
    return this.leads;
  }
  async signedSize(tenant: TenantId): Promise<bigint> {
    return this.signed.get(tenant)?.size ?? 0n;
  }
  async signCheckpoint(tenant: TenantId, log: { logId: string; origin: string }, { size, root, proof }: ClaimedTree): Promise<string> {
    if (tenant === this.broken) throw new Error(this.reason);
    const last = this.signed.get(tenant) ?? { size: 0n, root: EMPTY_ROOT };
    const claim = { fromSize: Number(last.size), fromRoot: last.root, toSize: Number(size), toRoot: root, proof };
    if (!verifyConsistency(claim)) throw new Error('a fork');
    this.signed.set(tenant, { size, root });
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
  expect(world.counted).toEqual(
    new Map([
      ['acme', 7n],
      ['globex', 1n],
    ]),
  );
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

it('begins after a restart where it ended, and not with the first record', async () => {
  world.sizes.set('acme', 700);
  await rounds.round();
  world.sizes.set('acme', 800);
  world.reads.length = 0;
  await new CheckpointRounds(world, world, world, world).round();
  expect(world.reads).toEqual([['acme', 700n, 800n]]);
  expect(world.saved.get('acme')).toMatchObject({ size: 800n, root: rootOfFirst(800) });
});

it('begins with the first record where nodes are missing, and stores them', async () => {
  world.sizes.set('acme', 700);
  await rounds.round();
  world.sizes.set('acme', 800);
  world.nodes.clear();
  await new CheckpointRounds(world, world, world, world).round();
  expect(world.saved.get('acme')).toMatchObject({ size: 800n, root: rootOfFirst(800) });
  expect(world.nodes.get('acme')?.map(({ level, index }) => [level, index])).toEqual([
    [1, 0],
    [1, 1],
    [1, 2],
  ]);
});

it('goes on from what the signer signed last, also where that was not saved', async () => {
  world.sizes.set('acme', 5);
  await rounds.round();
  world.saved.clear();
  await rounds.round();
  expect(world.saved.get('acme')).toMatchObject({ size: 5n });
  world.sizes.set('acme', 9);
  await rounds.round();
  expect(world.saved.get('acme')).toMatchObject({ size: 9n, root: rootOfFirst(9) });
});

it('signs a log that is far behind step by step', async () => {
  world.sizes.set('acme', 100_010).set('globex', 1);
  await rounds.round();
  expect([world.saved.get('acme')?.size, world.saved.get('globex')?.size]).toEqual([100_000n, 1n]);
  await rounds.round();
  expect(world.saved.get('acme')?.size).toBe(100_010n);
});

it('tells of a log that does not begin with what was signed, and never saves a checkpoint of it', async () => {
  world.sizes.set('acme', 5);
  await rounds.round();
  world.signed.set('acme', { size: 5n, root: rootOfFirst(4) });
  world.sizes.set('acme', 9);
  await rounds.round();
  expect([world.saved.get('acme')?.size, world.told]).toEqual([5n, ['a log could not be signed']]);
});
