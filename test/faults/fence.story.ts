import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { must } from '../stories/api.js';
import { INVOICE_POLICY, type Onboarded, onboarded } from '../stories/onboarded.js';
import { type Outcome, startLoad } from './load.js';
import { trailOf } from './trail-of.js';

/** A yes that became a no at one place of the log, and a yes again at another: milliseconds of the client's clock, places in the log. */
interface Closed {
  readonly kind: string;
  readonly closedSeq: number;
  readonly closedAt: number;
  readonly liftSentAt: number;
  readonly openSeq: number;
  readonly openAt: number;
}

const ROUNDS = 8;
const CLIENTS = 32;

/**
 * Promise 2, with two data planes on one database: when a stop has returned, nothing is accepted any more, by the order of the trail;
 * when a lift has returned, nobody is refused any more. The last test switches the fence off: the same harness must see violations.
 */
describe('stop means stop', () => {
  let world: Onboarded;
  beforeAll(async () => {
    world = await onboarded({ dataPlanes: 2 });
  }, 180_000);
  afterAll(() => world?.stop(), 60_000);

  const admin = (method: string, path: string, body?: unknown, headers?: Record<string, string>) =>
    must(world.platform.urls.keyPlane, world.acme.admin, method, `/v1/tenants/acme${path}`, body, headers);

  /** Each kind of change that can close and open again: what closes, what opens. Both answer the change's place in the log. */
  const changes: Record<string, () => Promise<() => Promise<number>>> = {
    'a stop of the service': () => stop({ scope: 'service', service: 'billing' }),
    'a stop of everything': () => stop({ scope: 'everything' }),
    'a stop of the key': () => stop({ scope: 'key', keyId: world.acme.keyId }),
    'a stop of one context label': () => stop({ scope: 'context', name: 'purpose', value: 'invoice' }),
    'a disabled key': async () => {
      closing = (await admin('POST', `/keys/${world.acme.keyId}/disable`)).seq!;
      return async () => (await admin('POST', `/keys/${world.acme.keyId}/enable`)).seq!;
    },
    'a published policy': async () => {
      closing = await publish({ ...INVOICE_POLICY, grants: [] });
      return () => publish(INVOICE_POLICY);
    },
  };
  let closing = 0;

  async function stop(target: unknown) {
    const made = await admin('POST', '/stops', { target });
    closing = made.seq!;
    return async () => (await admin('DELETE', `/stops/${String(made.body['stopId'])}`)).seq!;
  }

  async function publish(document: unknown): Promise<number> {
    const { headers } = await admin('GET', '/policy');
    return (await admin('PUT', '/policy', document, { 'if-match': headers.get('etag')! })).seq!;
  }

  /** Closes and opens under load, with every kind of change in turn, and answers what happened. */
  async function closeAndOpen(kinds: readonly string[], rounds: number): Promise<{ closed: Closed[]; outcomes: Outcome[] }> {
    const load = startLoad(world.platform.urls.dataPlanes, world.billing, CLIENTS);
    const closed: Closed[] = [];
    await sleep(300);
    for (let round = 0; round < rounds; round++) {
      const kind = kinds[round % kinds.length]!;
      while (load.inFlight() < CLIENTS / 2) await sleep(1);
      const open = await changes[kind]!();
      const closedAt = performance.now();
      const closedSeq = closing;
      await sleep(60);
      const liftSentAt = performance.now();
      const openSeq = await open();
      closed.push({ kind, closedSeq, closedAt, liftSentAt, openSeq, openAt: performance.now() });
      await sleep(60);
    }
    await load.stop();
    return { closed, outcomes: load.outcomes };
  }

  async function violations({ closed, outcomes }: { closed: Closed[]; outcomes: Outcome[] }): Promise<string[]> {
    const found: string[] = [];
    const trail = await trailOf(world.platform.superuserUrl, 'acme', closed[0]!.closedSeq);
    const uses = trail.filter(({ op }) => op === 'GenerateDataKey');
    closed.forEach(({ kind, closedSeq, closedAt, liftSentAt, openSeq, openAt }, index) => {
      const nextClosing = closed[index + 1]?.closedSeq ?? Number.POSITIVE_INFINITY;
      const nextCloseAt = closed[index + 1]?.closedAt ?? Number.POSITIVE_INFINITY;
      const accepted = uses.filter(({ seq, outcome }) => seq > closedSeq && seq < openSeq && outcome === 'succeeded').length;
      const refused = uses.filter(({ seq, outcome }) => seq > openSeq && seq < nextClosing && outcome === 'refused').length;
      const sentAfter = outcomes.filter(
        ({ sentAt, endedAt, status }) => sentAt > closedAt && endedAt < liftSentAt && status === 200,
      ).length;
      const stale = outcomes.filter(
        ({ sentAt, endedAt, status }) => sentAt > openAt && endedAt < nextCloseAt - 60 && [403, 409].includes(status),
      ).length;
      if (accepted > 0) found.push(`${kind}: ${accepted} success records behind it`);
      if (sentAfter > 0) found.push(`${kind}: ${sentAfter} calls sent after it returned were accepted`);
      if (refused > 0) found.push(`${kind} lifted: ${refused} refusals behind the lift`);
      if (stale > 0) found.push(`${kind} lifted: ${stale} calls sent after the lift were refused`);
    });
    return found;
  }

  it('accepts nothing behind a stop and refuses nothing behind a lift, for every kind of change', async () => {
    const kinds = Object.keys(changes);
    const seen = await closeAndOpen(kinds, kinds.length * ROUNDS);
    expect(seen.outcomes.filter(({ status }) => status === 200).length).toBeGreaterThan(100);
    expect(seen.outcomes.filter(({ status }) => status === 403 || status === 409).length).toBeGreaterThan(100);
    expect(await violations(seen)).toEqual([]);
  }, 180_000);

  it('refuses a revoked service credential from the next call on', async () => {
    const { operator, platform } = world;
    const issued = await must(platform.urls.keyPlane, operator, 'POST', '/v1/services/billing/credentials', {});
    // Few callers and few calls: 429 for too many failures would hide what a call was refused for.
    const load = startLoad(platform.urls.dataPlanes, String(issued.body['apiKey']), 4);
    await sleep(300);
    await must(platform.urls.keyPlane, operator, 'DELETE', `/v1/services/billing/credentials/${String(issued.body['credentialId'])}`);
    const revokedAt = performance.now();
    const after = () => load.outcomes.filter(({ sentAt }) => sentAt > revokedAt).map(({ status }) => status);
    while (after().length < 20) await sleep(1);
    await load.stop();
    expect(new Set(after())).toEqual(new Set([401]));
  }, 60_000);

  it('control: with the fence switched off, the same harness reports violations', async () => {
    const client = new pg.Client({ connectionString: world.platform.superuserUrl });
    await client.connect();
    try {
      const { rows } = await client.query<{ definition: string }>(
        "SELECT pg_get_functiondef('keyward.trail_append'::regproc) AS definition",
      );
      const fenced = rows[0]!.definition;
      const open = fenced.replace('THEN -1', 'THEN 0');
      expect(open).not.toBe(fenced);
      await client.query(open);
      const seen = await closeAndOpen(['a stop of the service'], 3);
      await client.query(fenced);
      expect((await violations(seen)).length).toBeGreaterThan(0);
    } finally {
      await client.end();
    }
  }, 60_000);
});
