import diagnostics from 'node:diagnostics_channel';
import { setTimeout } from 'node:timers/promises';
import { inspect } from 'node:util';
import type { TargetTurn } from '#core';
import type { RotationTarget } from '../../apps/worker/targets/rotation-target.js';
import { targetProcess } from '../../apps/worker/targets/target-process.js';
import { documented } from './documented.js';
import { reasonOf, TestReach } from './test-reach.js';

type Json = Record<string, unknown>;
type Target = RotationTarget<unknown, unknown, unknown>;

/** A real server with logins of its own for each test. */
export interface TargetWorld {
  readonly target: Target;
  /** `host:port` of the server. */
  readonly origins: readonly string[];
  /** The connection secret, as JSON: in clear text, with TLS, and with an admin's login that is wrong. */
  readonly connection: Json;
  readonly secured: Json | undefined;
  readonly wrong: Json;
  /** A login that works, new. `double`: of two accounts. */
  account(double: boolean): Promise<Json>;
  /** True where the server lets this login in; by a client that is not the target's. */
  letsIn(value: Json): Promise<boolean>;
  /** Runs what the documentation says is to be run there, and answers its connection and value with what is this server's own. */
  prepare(commands: readonly string[], example: Example): Promise<Example>;
  /** What the server logged of the statements that it was given; undefined where it logs none. */
  heard(): string | undefined;
  /** What no error may show of a value or a connection. */
  confidential(of: Json): readonly string[];
  stop(): Promise<void>;
}

export interface Example {
  readonly connection: Json;
  readonly value: Json;
}

export interface TargetTraits {
  /** The kinds of accounts that there are. */
  readonly accounts: readonly ('single' | 'double')[];
  /** `apply` ends the old login at once. */
  readonly gap: boolean;
  /** TLS begins in the protocol, so that its certificate is the target's to judge, and not the way out's. */
  readonly startsTls: boolean;
  /** Of the places where a connection can break off, one in so many is tried. */
  readonly oneIn?: number;
  /** Rotations during which clients log in; 20 if not given. */
  readonly rounds?: number;
}

const STEPS = ['apply', 'test', 'revert', 'retire'] as const;
type Step = (typeof STEPS)[number];
const ROTATION = { tenant: 'acme', secretId: 'sec_00000000000000000000000000', versionId: 'v1' };

/** A client that logs in again and again with what it reads as current, and tries once more where that fails. */
class LogIns {
  count = 0;
  failed = 0;
  retried = 0;
  #ended = false;
  #waits = false;
  readonly #loop: Promise<void>;

  constructor(
    private readonly world: TargetWorld,
    private current: Json,
  ) {
    this.#loop = this.#run();
    // Whoever waits for a login hears of it.
    this.#loop.catch(() => undefined);
  }

  /** Until a login that began after this call has ended, or one has failed and waits. */
  async pass(): Promise<void> {
    const enough = this.count + 2;
    while (this.count < enough && !this.#waits) await Promise.race([setTimeout(2), this.#loop]);
  }

  promote(next: Json): void {
    this.current = next;
    this.#waits = false;
  }

  async end(): Promise<this> {
    this.#ended = true;
    await this.#loop;
    return this;
  }

  async #run(): Promise<void> {
    while (!this.#ended) {
      const read = this.current;
      if (!(await this.world.letsIn(read))) await this.#again(read);
      this.count++;
    }
  }

  /** Until something new can be read. */
  async #again(failed: Json): Promise<void> {
    this.failed++;
    this.count++;
    if (this.current === failed) this.#waits = true;
    while (this.current === failed && !this.#ended) await setTimeout(2);
    if (await this.world.letsIn(this.current)) this.retried++;
  }
}

/** What every target on a network does, on a real server. `start` is called once. */
export function targetContract(
  name: string,
  { accounts, gap, startsTls, oneIn = 1, rounds = 20 }: TargetTraits,
  start: () => Promise<TargetWorld>,
): void {
  describe(`the target ${name}`, () => {
    let world: TargetWorld;
    beforeAll(async () => {
      world = await start();
    }, 240_000);
    afterAll(() => world?.stop(), 30_000);

    const shaped = (connection: Json) => world.target.connection.parse(connection);
    const options = () => world.target.options.parse({});

    async function rotation(double: boolean, connection = world.connection) {
      const current = world.target.value.parse(await world.account(double)) as Json;
      const parts = { rotation: ROTATION, connection: shaped(connection), options: options(), current, previous: undefined };
      const next = (await world.target.create({ ...parts, reach: new TestReach([]) })) as Json;
      return { ...parts, next };
    }
    type Rotation = Awaited<ReturnType<typeof rotation>>;

    /** After `retire`, `next` is what is current. */
    const run = async (step: Step, { next, ...parts }: Rotation, reach = new TestReach(world.origins)) => {
      try {
        if (step === 'retire') await world.target.retire({ ...parts, reach, current: next, old: parts.current });
        else await world.target[step]({ ...parts, next, reach });
      } finally {
        reach.close();
      }
    };
    const open = async ({ current, next }: Rotation) => ({ current: await world.letsIn(current), next: await world.letsIn(next) });

    describe.each(accounts)('with a %s account', (kind) => {
      const double = kind === 'double';
      const oldOneStays = double || !gap;

      it('makes the next login with another password, keeps what else is there, and touches nothing', async () => {
        const { current, next } = await rotation(double);
        expect(Object.keys(next).sort()).toEqual(Object.keys(current).sort());
        expect(world.confidential(next).length).toBe(world.confidential(current).length);
        expect(world.confidential(next).some((secret) => world.confidential(current).includes(secret))).toBe(false);
        expect(await world.letsIn(current)).toBe(true);
        expect(await world.letsIn(next)).toBe(false);
        expect(world.target.value.safeParse(next).success).toBe(true);
      });

      it('rotates, each step once or repeated', async () => {
        const parts = await rotation(double);
        for (const step of ['apply', 'apply'] as const) {
          await run(step, parts);
          expect(await open(parts)).toEqual({ current: oldOneStays, next: true });
        }
        for (const step of ['test', 'apply', 'test'] as const) await run(step, parts);
        for (const step of ['retire', 'retire'] as const) {
          await run(step, parts);
          expect(await open(parts)).toEqual({ current: false, next: true });
        }
      });

      it('reverts what was applied, or was not, once or repeated', async () => {
        const parts = await rotation(double);
        for (const step of ['revert', 'apply', 'revert', 'revert'] as const) {
          await run(step, parts);
          expect(await open(parts)).toEqual({ current: step !== 'apply' || oldOneStays, next: step === 'apply' });
        }
      });

      it('converges wherever an attempt before broke off', async () => {
        const parts = await rotation(double);
        let breaks = 0;
        for (const [step, after] of [
          ['apply', { current: oldOneStays, next: true }],
          ['revert', { current: true, next: false }],
          ['apply', { current: oldOneStays, next: true }],
          ['test', { current: oldOneStays, next: true }],
          ['retire', { current: false, next: true }],
        ] as const) {
          const before = step === 'apply' ? 'revert' : step === 'revert' ? 'apply' : undefined;
          for (let breaksAt = 1, whole = false; !whole; breaksAt += oneIn) {
            const reach = new TestReach(world.origins, breaksAt);
            const reason = await reasonOf(run(step, parts, reach));
            whole = !reach.broke;
            if (reason !== 'done') expect([step, breaksAt, reason]).toEqual([step, breaksAt, 'unavailable']);
            if (!whole) breaks++;
            if (!whole && before !== undefined) {
              await run(step, parts);
              await run(before, parts);
            }
          }
          await run(step, parts);
          expect([step, await open(parts)]).toEqual([step, after]);
        }
        expect(breaks).toBeGreaterThan(5);
      }, 240_000);

      it('changes nothing with a wrong login of the admin: the old one works, and there is nothing to revert', async () => {
        const parts = await rotation(double);
        const misled = { ...parts, connection: shaped(world.wrong) };
        expect(await reasonOf(run('apply', misled))).toBe('refused');
        expect(await reasonOf(run('test', misled))).toBe('refused');
        expect(await reasonOf(run('revert', misled))).toBe('done');
        expect(await open(parts)).toEqual({ current: true, next: false });
        await run('apply', parts);
        expect(await reasonOf(run('revert', misled))).toBe('refused');
        expect(await world.letsIn(parts.next)).toBe(true);
        await run('revert', parts);
      });
    });

    describe.each(accounts)(`in ${rounds} rotations of a %s account`, (kind) => {
      const double = kind === 'double';

      it(double || !gap ? 'no login fails' : 'a login that failed works with what is read again', async () => {
        let parts = await rotation(double);
        const clients = new LogIns(world, parts.current);
        for (let round = 0; round < rounds; round++) {
          await run('apply', parts);
          await clients.pass();
          await run('test', parts);
          clients.promote(parts.next);
          // The overlap: whoever has read the old login before has used it.
          await clients.pass();
          await run('retire', parts);
          const { next: current, current: previous } = parts;
          const next = (await world.target.create({ ...parts, current, previous, reach: new TestReach([]) })) as Json;
          parts = { ...parts, current, next };
        }
        const { failed, retried, count } = await clients.end();
        expect(count).toBeGreaterThan(rounds);
        expect(failed > 0).toBe(!double && gap);
        expect(retried).toBe(failed);
      }, 120_000);
    });

    const kind = accounts[0] === 'double';

    it('works in the process that targets run in, which has no files, no programs and no environment', async () => {
      const process = targetProcess({ allow: world.origins });
      const run = async (turn: TargetTurn) => {
        const answer = await process(turn);
        if ('failure' in answer) throw new Error(`${answer.failure}: ${answer.detail}`);
        return answer.value;
      };
      const { current, next } = await rotation(kind);
      const bytes = (value: Json) => new TextEncoder().encode(JSON.stringify(value));
      const request = { kind: name, rotation: ROTATION, options: {}, connection: bytes(world.connection), current: bytes(current) };
      const made = JSON.parse(new TextDecoder().decode(await run({ ...request, step: 'create' }))) as Json;
      expect(Object.keys(made).sort()).toEqual(Object.keys(next).sort());
      for (const step of ['apply', 'test'] as const) await run({ ...request, step, next: bytes(made) });
      expect(await world.letsIn(made)).toBe(true);
      await run({ ...request, step: 'retire', current: bytes(made), old: bytes(current) });
      expect(await world.letsIn(current)).toBe(false);
    });

    it('works as its documentation says', async () => {
      const { commands, ...example } = documented(name);
      const { connection, value } = await world.prepare(commands, example);
      const parts = { ...(await rotation(kind)), connection: shaped(connection) };
      const current = world.target.value.parse(value) as Json;
      const next = (await world.target.create({ ...parts, current, reach: new TestReach([]) })) as Json;
      for (const step of ['apply', 'test', 'retire'] as const) await run(step, { ...parts, current, next });
      expect(await open({ ...parts, current, next })).toEqual({ current: false, next: true });
    });

    it('puts no password into a statement', async () => {
      const parts = await rotation(kind);
      await run('apply', parts);
      if (world.heard() === undefined) return;
      const { username } = parts.next as { username: string };
      const lines = () =>
        world
          .heard()!
          .split('\n')
          .filter((line) => line.includes('ALTER') && line.includes(username));
      while (lines().length === 0) await setTimeout(10);
      for (const secret of world.confidential(parts.next)) expect(world.heard()).not.toContain(secret);
      // The control: what somebody else put into one is there.
      for (const secret of world.confidential(parts.current)) expect(world.heard()).toContain(secret);
    });

    it('connects to nothing but what its way out has opened', async () => {
      const parts = await rotation(kind);
      let sockets = 0;
      const count = () => sockets++;
      diagnostics.subscribe('net.client.socket', count);
      try {
        for (const step of ['apply', 'test', 'revert', 'apply', 'retire'] as const) {
          sockets = 0;
          const reach = new TestReach(world.origins);
          await run(step, parts, reach);
          expect([step, sockets]).toEqual([step, reach.opened]);
          expect(await reasonOf(run(step, parts, new TestReach([]))).then((reason) => [step, reason])).toEqual([
            step,
            sockets === 0 ? 'done' : 'refused',
          ]);
        }
      } finally {
        diagnostics.unsubscribe('net.client.socket', count);
      }
    });

    it('speaks to whom the authority that is given vouches for, and to nobody else', async () => {
      if (world.secured === undefined) return;
      const parts = { ...(await rotation(kind)), connection: shaped(world.secured) };
      for (const step of ['apply', 'test', 'revert', 'apply', 'retire'] as const) await run(step, parts);
      expect(await open(parts)).toEqual({ current: false, next: true });
      const { certificateAuthority: _, ...unvouched } = world.secured;
      const elsewhere = JSON.parse(JSON.stringify(world.secured).replaceAll('"127.0.0.1"', '"elsewhere.example"')) as Json;
      for (const connection of [unvouched, ...(startsTls ? [elsewhere] : [])].map(shaped))
        for (const step of ['apply', 'test'] as const) {
          const reach = new TestReach(world.origins).leadingTo('elsewhere.example', '127.0.0.1');
          expect(await reasonOf(run(step, { ...parts, connection }, reach))).toBe('refused');
        }
    });

    it('is unavailable, not refused, where nobody listens', async () => {
      const parts = await rotation(kind);
      const closed = JSON.parse(JSON.stringify(world.connection).replaceAll(/"port":\d+/g, '"port":1')) as Json;
      const reach = new TestReach(['127.0.0.1:1']);
      expect(await reasonOf(run('apply', { ...parts, connection: shaped(closed) }, reach))).toBe('unavailable');
    });

    it('shows nothing confidential in any error', async () => {
      const parts = await rotation(kind);
      const hidden = [parts.current, parts.next, world.connection, world.wrong].flatMap((of) => world.confidential(of));
      const failures: unknown[] = [];
      const attempt = async (step: Step, of: Rotation, reach?: TestReach) =>
        await run(step, of, reach).catch((error: unknown) => failures.push(error));
      const missing = { ...parts.next, username: 'nobody.of.that.name' };
      for (const step of STEPS) {
        await attempt(step, { ...parts, connection: shaped(world.wrong) });
        await attempt(step, { ...parts, next: missing, current: missing });
        for (const breaksAt of [1, 2, 3, 4]) await attempt(step, parts, new TestReach(world.origins, breaksAt));
      }
      expect(failures.length).toBeGreaterThan(8);
      for (const failure of failures) {
        const told = inspect(failure, { depth: 20, showHidden: true });
        for (const secret of hidden) expect(told).not.toContain(secret);
      }
      // The control: it would be seen.
      expect(hidden.some((secret) => inspect(parts, { depth: 20 }).includes(secret.slice(0, 20)))).toBe(true);
    });
  });
}
