import { type Onboarded, onboarded } from '../stories/onboarded.js';
import { type Authority, authorityOver } from './authority.js';
import { closeAndOpen, type Result } from './close-and-open.js';
import { cutFunctions, FENCE } from './cut-function.js';
import { KINDS_OF_CHANGE } from './kinds-of-change.js';
import { startIssuer, type TokenIssuer } from './token-issuer.js';
import type { Violations } from './verdict.js';

/** For how long each kind of change is made; docs/testing.md. */
const SECONDS = Number(process.env['KEYWARD_FENCE_SECONDS'] ?? 1);
const LEAST_CHANGES = 20;
const TIMEOUT_MS = 60_000 + 3000 * SECONDS;
const PAUSE_MS = 2500;

const NONE: Violations = { lateRecords: 0, lateAnswers: 0, staleRecords: 0, staleAnswers: 0, outOfOrder: 0 };

/**
 * Promise 2, with two data planes on one database: when what closes has returned, nothing is accepted any more, by the order of the trail;
 * when what opens has returned, nobody is refused any more. The last tests switch the fence off: the same harness must see violations.
 */
describe('stop means stop', () => {
  let issuer: TokenIssuer;
  let world: Onboarded;
  let authority: Authority;
  const told: string[] = [];
  beforeAll(async () => {
    issuer = await startIssuer();
    world = await onboarded({ dataPlanes: 2, env: { KEYWARD_EGRESS_ALLOW: new URL(issuer.name).host } });
    authority = await authorityOver(world, issuer);
  }, 180_000);
  afterAll(async () => {
    process.stderr.write(`${told.join('\n')}\n`);
    await authority?.end();
    await world?.stop();
    await issuer?.stop();
  }, 60_000);

  /** Figures of a run are told once, and judged only where a slow machine cannot change them. */
  function tell(name: string, { changes, rate, underLoad, answers, surelyClosed, surelyOpen, violations, statuses }: Result): void {
    const found = Object.entries(violations).flatMap(([what, count]) => (count > 0 ? [`${what} ${count}`] : []));
    told.push(
      `${name}: ${changes} changes, ${rate}/s, ${underLoad} under load; ${answers} calls ${JSON.stringify(statuses)}, ${surelyClosed} surely closed, ${surelyOpen} surely open; ${found.join(', ') || 'no violation'}`,
    );
  }

  it.each(Object.keys(KINDS_OF_CHANGE))(
    'accepts nothing behind what closes and refuses nothing behind what opens: %s',
    async (name) => {
      const result = await closeAndOpen(authority, KINDS_OF_CHANGE[name]!(authority), { seconds: SECONDS, changes: LEAST_CHANGES });
      tell(name, result);
      expect(result.violations).toEqual(NONE);
      expect(result.underLoad).toBeGreaterThanOrEqual(0.9 * result.changes);
      expect(result.surelyClosed).toBeGreaterThan(0);
      expect(result.surelyOpen).toBeGreaterThan(0);
    },
    TIMEOUT_MS,
  );

  it.each(['a stop of the service', 'rule', 'catalogue'])(
    'does not wait for a replica that stands still, which then accepts nothing under the old rule: %s',
    async (name) => {
      const replica = world.platform.processes.get('data-plane-2')!;
      let [before, meanwhile] = [0, 0];
      const result = await closeAndOpen(authority, KINDS_OF_CHANGE[name]!(authority), {
        seconds: SECONDS,
        changes: LEAST_CHANGES,
        meanwhile: async ({ callers, changes, answered }) => {
          expect(callers.inFlight(1)).toBeGreaterThan(32);
          replica.kill('SIGSTOP');
          before = changes.length;
          try {
            await answered(0, 64);
            await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
            meanwhile = changes.length - before;
          } finally {
            replica.kill('SIGCONT');
          }
          await answered(1, 128);
        },
      });
      tell(`one replica stopped, ${name}, ${meanwhile} changes meanwhile`, result);
      // One would have been on its way; each of them waits for the answer to the one before.
      expect(meanwhile).toBeGreaterThan(2);
      expect(result.violations).toEqual(NONE);
    },
    TIMEOUT_MS,
  );

  describe('control: with the fence switched off, the same harness reports', () => {
    let restore: Awaited<ReturnType<typeof cutFunctions>>;
    beforeAll(async () => {
      restore = await cutFunctions(authority.database, FENCE);
    });
    afterAll(() => restore(authority.database));

    it.each(['a stop of the service', 'rule', 'catalogue'])(
      'late successes or stale refusals: %s',
      async (name) => {
        const result = await closeAndOpen(authority, KINDS_OF_CHANGE[name]!(authority), { seconds: 1, changes: 6 });
        tell(`without the fence, ${name}`, result);
        expect(result.violations.lateRecords + result.violations.staleRecords).toBeGreaterThan(0);
        expect(result.violations.lateAnswers + result.violations.staleAnswers).toBeGreaterThan(0);
      },
      TIMEOUT_MS,
    );
  });
});
