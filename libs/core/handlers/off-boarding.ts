import { type OffBoardingAnswer, PLATFORM } from '#contract';
import { InvalidRequest, KeywardError } from '../errors.js';
import type { Handlers } from '../pipeline.js';
import type { Custody } from '../ports/custody.js';
import type { LeavingTenant } from '../ports/off-boardings.js';
import type { Reads } from '../ports/reads.js';
import { saying } from '../record.js';

const DAY_MS = 86_400_000;

type OffBoardingOperation =
  | 'OffBoardTenant'
  | 'CancelOffBoarding'
  | 'ListOffBoardings'
  | 'AgreeToOffBoarding'
  | 'WithdrawFromOffBoarding'
  | 'DescribeOffBoarding';

export interface OffBoardingParts {
  readonly custody: Pick<Custody, 'createTenantRoot'>;
  readonly reads: Pick<Reads, 'leavingTenant' | 'offBoardings' | 'root'>;
}

/**
 * A tenant leaves. The operator begins it, on the agreement of the tenant's admin or on a suspension; it waits, where everybody can read it,
 * and then the worker destroys all but the trail. Nobody destroys anything here.
 */
export function offBoardingHandlers({ custody, reads }: OffBoardingParts): Handlers<OffBoardingOperation> {
  return {
    OffBoardTenant: async ({ input: { leaving, days, reason }, principal, now, permit }) => {
      const basis = mustBeFreeToLeave(leaving === PLATFORM ? undefined : await reads.leavingTenant(leaving));
      // Under which nothing will ever be: when it replaces the present one, that can go.
      const root = (await reads.root(leaving)).number + 1;
      await custody.createTenantRoot(permit({ tenant: leaving }), root);
      const [at, endsAt] = [new Date(now), new Date(now + days * DAY_MS)];
      const begun = { begunBy: principal.name, begunAt: at.toISOString(), endsAt: endsAt.toISOString(), reason };
      return {
        answer: { tenant: leaving, state: 'Waiting', basis, ...begun },
        details: { change: { leavingTenant: leaving, basis, endsAt: begun.endsAt }, ...saying(reason) },
        tells: leaving,
        apply: (writes) => writes.beginOffBoarding({ tenant: leaving, basis, by: principal.name, at, endsAt, reason, root }),
      };
    },

    CancelOffBoarding: async ({ input: { leaving } }) => {
      const { state } = mustBe((await reads.leavingTenant(leaving))?.offBoarding);
      if (state !== 'Waiting') throw new KeywardError('state-unchangeable', 'It does not wait.', { reason: `off-boarding-${state}` });
      return {
        answer: undefined,
        details: { change: { leavingTenant: leaving } },
        tells: leaving,
        apply: (writes) => writes.cancelOffBoarding(leaving),
      };
    },

    /** Nobody learns the names of the other side's people: neither does who reads the logs. */
    ListOffBoardings: async ({ input }) => {
      const { items, ...page } = await reads.offBoardings(input);
      return { answer: { items: items.map(({ agreedBy: _, ...item }) => item), ...page }, details: {} };
    },

    AgreeToOffBoarding: async ({ input: { confirm }, call: { tenant }, principal, now }) => {
      if (confirm !== tenant) throw new InvalidRequest([{ field: 'confirm', message: "must be the tenant's own name" }]);
      const agreed = { agreedBy: principal.name, agreedAt: new Date(now).toISOString() };
      return {
        answer: { tenant, state: 'Agreed', ...agreed },
        details: { change: { offBoarding: 'agreed' } },
        apply: (writes) => writes.agreeToOffBoarding(principal.name, new Date(now)),
      };
    },

    /** Also when it has begun on that. One that began on a suspension only the operator cancels. */
    WithdrawFromOffBoarding: async ({ call: { tenant } }) => {
      const { state, basis } = mustBe((await reads.leavingTenant(tenant))?.offBoarding);
      if (basis === 'suspension' || (state !== 'Agreed' && state !== 'Waiting'))
        throw new KeywardError('state-unchangeable', 'It does not rest on your agreement, or it is too late.', { reason: 'off-boarding' });
      return {
        answer: undefined,
        details: { change: { offBoarding: 'withdrawn' } },
        apply: (writes) => writes.cancelOffBoarding(tenant),
      };
    },

    DescribeOffBoarding: async ({ call }) => {
      const { begunBy: _, ...answer } = mustBe((await reads.leavingTenant(call.tenant))?.offBoarding);
      return { answer, details: {} };
    },
  };
}

function mustBe(found: OffBoardingAnswer | undefined): OffBoardingAnswer {
  if (found === undefined) throw new KeywardError('not-found', 'There is no such off-boarding.');
  return found;
}

/** Answers what it may be begun on. */
function mustBeFreeToLeave(tenant: LeavingTenant | undefined): 'agreement' | 'suspension' {
  if (tenant === undefined) throw new KeywardError('not-found', 'There is no such tenant.');
  const { state, suspended, offBoarding } = tenant;
  const no = (detail: string, reason: string) => new KeywardError('state-unchangeable', detail, { reason });
  // Its log, which would tell of it, has not begun.
  if (state !== 'Active') throw no('The tenant is not active.', `tenant-${state}`);
  if (offBoarding !== undefined && offBoarding.state !== 'Agreed') throw no('It is under way.', `off-boarding-${offBoarding.state}`);
  if (offBoarding !== undefined) return 'agreement';
  if (suspended) return 'suspension';
  throw no('Its admin has not agreed, and it is not suspended.', 'no-basis');
}
