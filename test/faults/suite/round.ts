import { setTimeout as sleep } from 'node:timers/promises';
import type { api } from '../../stories/api.js';
import { asSuperuser } from '../../stories/signed.js';
import { seeded } from '../random.js';
import { admin, openEverything, operator } from './admin-clients.js';
import { auditor } from './auditor-clients.js';
import { dueNow, hurry, turnCalendar } from './calendar.js';
import { Caller } from './caller.js';
import { CUSTOMERS, gather } from './evidence.js';
import type { FaultWorld } from './fault-world.js';
import { FAULTS } from './faults.js';
import { Ledger, type LedgerCall, readLedger } from './ledger.js';
import { type Findings, judge } from './properties.js';
import { type Planned, planOf } from './schedule.js';
import { serviceClients } from './service-clients.js';

const PATIENCE_MS = 120_000;
/** Before the first fault, so that there is something to lose. */
const CALM_MS = 1500;

export interface RoundOptions {
  readonly seed: number;
  /** How many faults there are, one after the other, some of them at once. */
  readonly faults: number;
  readonly tell: (line: string) => void;
  /** How long everything may take to serve again. Default 2 minutes. */
  readonly patienceMs?: number;
  /** What else happens under load, for controls. */
  readonly meanwhile?: (calls: () => Promise<LedgerCall[]>) => Promise<void>;
}

export interface Verdict {
  readonly findings: Findings;
  readonly calls: number;
  readonly statuses: Readonly<Record<number, number>>;
}

/** One run on one platform: rounds of faults under load, each followed by the judgement of all that happened since the first began. */
export class FaultRun {
  private constructor(
    private readonly world: FaultWorld,
    private readonly ledger: Ledger,
    private readonly path: string,
    private readonly begun: ReadonlyMap<string, number>,
    private readonly startedAt = performance.now(),
  ) {}

  /** `path`: of the ledger, which must not exist. */
  static async on(world: FaultWorld, path: string): Promise<FaultRun> {
    const sizes = await asSuperuser(world.onboarded.platform.superuserUrl, async (client) => {
      const { rows } = await client.query<{ tenant: string; size: string }>('SELECT tenant_id AS tenant, size FROM keyward.tenant_head');
      return rows.map(({ tenant, size }) => [tenant, Number(size)] as const);
    });
    return new FaultRun(world, await Ledger.create(path), path, new Map(sizes));
  }

  async round({ seed, faults, tell, patienceMs = PATIENCE_MS, meanwhile }: RoundOptions): Promise<Verdict> {
    const { world } = this;
    const { acme, globex } = world.customers;
    const random = seeded(seed ^ 0x5eed);
    const caller = new Caller(this.ledger, () => performance.now() - this.startedAt);
    let over = false;
    const isOver = () => over;
    const clients = Promise.allSettled([
      serviceClients(world, caller, random, isOver),
      admin(world, caller, acme, random, isOver),
      admin(world, caller, globex, random, isOver),
      operator(world, caller, random, isOver),
      auditor(world, caller, acme, globex, random, isOver),
      auditor(world, caller, globex, acme, random, isOver),
    ]);
    const unwell: string[] = [];
    try {
      await asSuperuser(world.onboarded.platform.superuserUrl, (client) => turnCalendar(client, world.calendar));
      await sleep(CALM_MS);
      await this.#carryOut(planOf(seed, faults), tell);
      await meanwhile?.(() => readLedger(this.path));
    } finally {
      over = true;
    }
    unwell.push(...(await this.#recover(caller, clients, patienceMs)));
    caller.isImpatient = true;
    unwell.push(...(await clients).flatMap((one) => (one.status === 'rejected' ? [String(one.reason)] : [])));
    const keys = [...acme.rotating, ...globex.rotating];
    const evidence = await gather(world, caller, this.path, { begun: this.begun, calendar: { turns: world.calendar.turns, keys }, unwell });
    const statuses: Record<number, number> = {};
    for (const { status = 0 } of evidence.calls) statuses[status] = (statuses[status] ?? 0) + 1;
    return { findings: judge(evidence), calls: evidence.calls.length, statuses };
  }

  async end(): Promise<void> {
    await this.ledger.close();
  }

  async #carryOut(plan: readonly Planned[], tell: (line: string) => void): Promise<void> {
    const healing: Promise<void>[] = [];
    for (const { fault, victim, afterMs, forMs, seed } of plan) {
      await sleep(afterMs);
      const { begin, isMissing } = FAULTS[fault]!;
      if (isMissing?.(this.world) === true) continue;
      tell(`${fault}: ${victim}, ${forMs} ms`);
      const heal = await begin(this.world, victim, seeded(seed));
      healing.push(sleep(forMs).then(heal));
      // The next one may begin while this one lasts.
      if (seed % 2 === 0) await healing.at(-1);
    }
    await Promise.all(healing);
  }

  /** Everything serves again without anybody's help, and what is due is done. Answers what is not so. */
  async #recover(caller: Caller, clients: Promise<unknown>, patienceMs: number): Promise<string[]> {
    const { platform } = this.world.onboarded;
    const unwell: string[] = [];
    const deadline = performance.now() + patienceMs;
    const timer = setTimeout(() => (caller.isImpatient = true), patienceMs);
    const until = async (what: string, holds: () => Promise<boolean>) => {
      while (!(await holds().catch(() => false))) {
        if (performance.now() > deadline) return void unwell.push(what);
        await sleep(100);
      }
    };
    await until('the clients end', () => settled(clients));
    for (const name of CUSTOMERS)
      await until(`everything of ${name} opens`, () => openEverything(this.world, caller, this.world.customers[name]).then(() => true));
    for (const [index, plane] of platform.urls.dataPlanes.entries())
      for (const name of CUSTOMERS) await until(`data-plane-${index + 1} serves ${name}`, () => this.#serves(caller, plane, name));
    const { superuserUrl } = platform;
    // What a killed worker had in its hands would wait for its lock; a queue may be emptied at any moment.
    await this.world.redis?.flush();
    await until('what is due is done', () =>
      asSuperuser(superuserUrl, async (client) => {
        await hurry(client);
        const { rotations, ends } = await dueNow(client, this.world.calendar);
        return rotations + ends === 0;
      }),
    );
    await until('every log is signed to its end', () =>
      asSuperuser(superuserUrl, async (client) => {
        const { rows } = await client.query(
          'SELECT FROM keyward.tenant_head h LEFT JOIN keyward.trail_checkpoint c USING (tenant_id) WHERE h.size > coalesce(c.size, 0)',
        );
        return rows.length === 0;
      }),
    );
    clearTimeout(timer);
    return unwell;
  }

  async #serves(caller: Caller, plane: string, name: (typeof CUSTOMERS)[number]): Promise<boolean> {
    const { credential, service } = this.world.customers[name];
    const question = { op: 'GenerateDataKey', tenant: name, by: service };
    const body = { keyId: 'alias/invoices', encryptionContext: { purpose: 'invoice' } };
    const request: Parameters<typeof api> = [plane, credential.apiKey, 'POST', `/v1/tenants/${name}/data-keys`, body];
    return (await caller.call(question, request))?.status === 200;
  }
}

async function settled(work: Promise<unknown>): Promise<boolean> {
  return await Promise.race([work.then(() => true), sleep(50).then(() => false)]);
}
