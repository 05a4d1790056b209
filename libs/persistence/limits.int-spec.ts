import fc from 'fast-check';
import type pg from 'pg';
import type { Limits } from '#contract';
import type { TrailEntry } from '#core';
import { Appender } from './appender.js';
import { anEntry, epochsOf, MAC, TestDatabase, type TestTenant } from './test-database.js';

const MINUTE = 60_000_000n;
const DAY = 1440n * MINUTE;
/** Microseconds since 1970. Records are never timed before the one before them, so a last record in the future is a clock that stands still. */
const START = BigInt(Date.UTC(2100, 0, 1)) * 1000n;

type Fault = 'none' | 'stale' | 'expired' | 'malformed';
interface Asked {
  readonly rule: number | undefined;
  readonly fault: Fault;
  /** Calls that the record counts. */
  readonly calls: number;
}
type Leap = 'none' | 'minute' | 'day' | 'brink';

/** What the database should do: calendar minutes and days of a clock that moves by one microsecond a record. */
class Model {
  readonly #used = new Map<string, number>();
  constructor(
    public lastAt: bigint,
    public size: number,
  ) {}

  leap(leap: Leap): void {
    if (leap === 'minute') this.lastAt += MINUTE;
    if (leap === 'day') this.lastAt += DAY;
    if (leap === 'brink') this.lastAt += MINUTE - 3n - (this.lastAt % MINUTE);
  }

  append(asked: readonly Asked[], limits: readonly Limits[], rulePrefix: string): (string | number)[] {
    let base = this.lastAt + 1n;
    const reached = base + BigInt(asked.length);
    if (reached / MINUTE > base / MINUTE) base = reached - (reached % MINUTE);
    let stored = 0n;
    /** Who found too little room has claimed it all the same: whoever comes later in the batch stands behind it. */
    const claimed = new Map(this.#used);
    const answers = asked.map(({ rule, fault, calls }) => {
      if (fault !== 'none') return fault;
      if (rule !== undefined) {
        const { perMinute = Infinity, perDay = Infinity } = limits[rule]!;
        const windows = [
          [`${rulePrefix}${rule} minute ${base / MINUTE}`, perMinute],
          [`${rulePrefix}${rule} day ${base / DAY}`, perDay],
        ] as const;
        const room = Math.min(...windows.map(([counter, limit]) => limit - (claimed.get(counter) ?? 0)));
        for (const [counter] of windows) claimed.set(counter, (claimed.get(counter) ?? 0) + calls);
        if (calls > room) return `over-limit, room for ${Math.max(0, room)}`;
        for (const [counter] of windows) this.#used.set(counter, (this.#used.get(counter) ?? 0) + calls);
      }
      this.lastAt = base + stored++;
      return this.size++;
    });
    return answers;
  }
}

describe('limits of grants', () => {
  let database: TestDatabase;
  let admin: pg.Client;
  let tenants: Map<string, TestTenant>;
  let appender: Appender;

  beforeAll(async () => {
    database = await TestDatabase.start();
    tenants = await database.addTenants('platform', 'acme', 'globex', 'initech');
    admin = await database.session('superuser');
    appender = new Appender(database.settings('keyward_data_plane'));
    for (const name of ['acme', 'globex', 'initech']) await setLastAt(name, START);
  });
  afterAll(async () => {
    await appender?.close();
    await admin?.end();
    await database.stop();
  });

  const setLastAt = (tenant: string, at: bigint) =>
    admin.query(
      `UPDATE keyward.tenant_head SET last_at = 'epoch'::timestamptz + $2::bigint / 1000000 * interval '1 second' + $2::bigint % 1000000 * interval '1 microsecond' WHERE tenant_id = $1`,
      [tenant, at.toString()],
    );
  const charged = async (name: string, ruleId: string, limits: Limits): Promise<TrailEntry> => {
    const details = { authz: { decision: 'allow' as const, ruleId } };
    return { ...anEntry(tenants.get(name)!, await epochsOf(admin, name), 'Encrypt', details), charge: { ruleId, limits } };
  };
  const verdictOf = (entry: TrailEntry) => appender.append(entry).then(({ verdict }) => verdict);
  const times = async (count: number, entry: TrailEntry) => await Promise.all(Array.from({ length: count }, () => verdictOf(entry)));
  const tally = (verdicts: readonly string[]) =>
    Object.fromEntries(
      Map.groupBy(verdicts, (it) => it)
        .entries()
        .map(([k, v]) => [k, v.length]),
    );

  it('agree with a model that counts, whatever is asked in whatever order, minute and day', async () => {
    const limits = fc.record({ perMinute: fc.integer({ min: 1, max: 4 }), perDay: fc.integer({ min: 1, max: 7 }) }, { requiredKeys: [] });
    const fault = fc.constantFrom<Fault>('none', 'none', 'none', 'none', 'stale', 'expired', 'malformed');
    const asked = fc.record({ rule: fc.option(fc.nat(2), { nil: undefined }), fault, calls: fc.integer({ min: 1, max: 3 }) });
    const step = fc.record({
      leap: fc.constantFrom<Leap>('none', 'none', 'minute', 'day', 'brink'),
      batch: fc.array(asked, { minLength: 1, maxLength: 12 }),
    });
    const acme = tenants.get('acme')!;
    const epochs = await epochsOf(admin, 'acme');
    const model = new Model(START, 0);
    let run = 0;
    await fc.assert(
      fc.asyncProperty(fc.tuple(limits, limits, limits), fc.array(step, { minLength: 1, maxLength: 6 }), async (ofRule, steps) => {
        const prefix = `run-${run++}-`;
        for (const { leap, batch } of steps) {
          model.leap(leap);
          await setLastAt('acme', model.lastAt);
          const answers = batch.map(async ({ rule, fault: wrong, calls }) => {
            const ruleId = `${prefix}${rule}`;
            const entry = anEntry(acme, epochs, wrong === 'malformed' ? 'PutPolicy' : 'Encrypt', {
              ...(rule !== undefined && { authz: { decision: 'allow', ruleId } }),
              ...(calls > 1 && { count: calls }),
            });
            const appended = await appender
              .append({
                ...entry,
                ...(rule !== undefined && { charge: { ruleId, limits: ofRule[rule]! } }),
                ...(wrong === 'stale' && { epochs: { ...epochs, tenant: crypto.randomUUID() } }),
                ...(wrong === 'expired' && { validUntil: new Date(0) }),
              })
              .catch((error: { reason: string }) => ({ verdict: error.reason === 'trail: malformed record' ? 'malformed' : error.reason }));
            if ('room' in appended) return `${appended.verdict}, room for ${appended.room}`;
            return 'seq' in appended ? Number(appended.seq) : appended.verdict;
          });
          expect(await Promise.all(answers)).toEqual(model.append(batch, ofRule, prefix));
        }
      }),
      { numRuns: 60 },
    );
    const { rows } = await admin.query(
      `SELECT count(*)::int AS records, max(seq)::int AS last FROM keyward.trail_record WHERE tenant_id = 'acme'`,
    );
    expect(rows).toEqual([{ records: model.size, last: model.size - 1 }]);
  }, 60_000);

  it('hold over two appenders at once, to the very number, and leave no gap', async () => {
    const other = new Appender(database.settings('keyward_data_plane'));
    const few = await charged('globex', 'few', { perDay: 100 });
    const many = await charged('globex', 'many', { perMinute: 1_000_000 });
    const verdicts = await Promise.all(
      Array.from({ length: 900 }, async (_, index) => {
        const { verdict } = await (index % 2 === 0 ? appender : other).append(index % 3 === 0 ? many : few);
        return `${index % 3 === 0 ? 'many' : 'few'} ${verdict}`;
      }),
    );
    await other.close();
    expect(tally(verdicts)).toEqual({ 'many durable': 300, 'few durable': 100, 'few over-limit': 500 });
    const { rows } = await admin.query(
      `SELECT count(*)::int AS records, max(seq)::int AS last FROM keyward.trail_record WHERE tenant_id = 'globex'`,
    );
    expect(rows).toEqual([{ records: 400, last: 399 }]);
    const { rows: counters } = await admin.query(
      `SELECT rule_id, used_minute::int AS minute, used_day::int AS day FROM keyward.grant_use WHERE tenant_id = 'globex' ORDER BY 1`,
    );
    expect(counters).toEqual([
      { rule_id: 'few', minute: 100, day: 100 },
      { rule_id: 'many', minute: 300, day: 300 },
    ]);
  });

  it('are each tenant’s own, in one batch too', async () => {
    const ofGlobex = await charged('globex', 'shared-name', { perMinute: 2 });
    const ofInitech = await charged('initech', 'shared-name', { perMinute: 2 });
    const verdicts = await Promise.all([times(3, ofGlobex), times(3, ofInitech)]);
    expect(verdicts.map(tally)).toEqual([
      { durable: 2, 'over-limit': 1 },
      { durable: 2, 'over-limit': 1 },
    ]);
  });

  it('count on when the policy is published again, and see a changed limit', async () => {
    expect(tally(await times(3, await charged('globex', 'steady', { perDay: 3 })))).toEqual({ durable: 3 });
    await admin.query(`INSERT INTO keyward.policy_version VALUES ('globex', 1, 'd', 'anna', now(), '{}', ${MAC})`);
    expect(tally(await times(2, await charged('globex', 'steady', { perDay: 3 })))).toEqual({ 'over-limit': 2 });
    expect(tally(await times(2, await charged('globex', 'steady', { perDay: 4 })))).toEqual({ durable: 1, 'over-limit': 1 });
  });

  it('hold for a grant that is called null, which is a word of array literals', async () => {
    expect(tally(await times(3, await charged('globex', 'null', { perDay: 1 })))).toEqual({ durable: 1, 'over-limit': 2 });
  });

  it('give back what was paid when the commit fails', async () => {
    const entry = await charged('globex', 'undone', { perDay: 1 });
    await admin.query(`CREATE FUNCTION public.fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'at commit'; END $$;
      CREATE CONSTRAINT TRIGGER fails AFTER INSERT ON keyward.trail_record DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION public.fail()`);
    await expect(appender.append(entry)).rejects.toMatchObject({ code: 'unavailable' });
    await admin.query('DROP TRIGGER fails ON keyward.trail_record; DROP FUNCTION public.fail()');
    expect(tally(await times(2, entry))).toEqual({ durable: 1, 'over-limit': 1 });
  });

  it.each([0, -1, 1.5, 1_000_000, 'many'])('take a count of %s for a malformed record, not for an error of the batch', async (count) => {
    const bad = await charged('globex', 'odd', { perDay: 5 });
    const good = await charged('globex', 'odd', { perDay: 5 });
    const odd = { ...bad, body: { ...bad.body, count: count as number } };
    const [refused, taken] = await Promise.allSettled([appender.append(odd), appender.append(good)]);
    expect(refused).toMatchObject({ status: 'rejected', reason: { reason: 'trail: malformed record' } });
    expect(taken).toMatchObject({ status: 'fulfilled', value: { verdict: 'durable' } });
  });

  it.each<[string, Limits, string]>([
    ['a limit that the database cannot count to', { perMinute: 2 ** 31 }, 'some-rule'],
    ['half a limit', { perDay: 0.5 }, 'some-rule'],
    ['a name that would end an item', { perDay: 1 }, 'a","b'],
  ])('refuse %s before it can fail the records beside it', async (_, limits, ruleId) => {
    const bad = await charged('globex', ruleId, limits);
    const good = await charged('globex', 'beside', { perDay: 1_000_000 });
    const [refused, taken] = await Promise.allSettled([appender.append(bad), appender.append(good)]);
    expect(refused).toMatchObject({ status: 'rejected', reason: { reason: 'trail: malformed entry' } });
    expect(taken).toMatchObject({ status: 'fulfilled', value: { verdict: 'durable' } });
  });
});
