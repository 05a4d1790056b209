import { LONGEST_LEASE } from '#contract';
import { Refused } from './errors.js';
import type { Prepared } from './handler.js';
import { leased } from './leases.js';
import type { LimitedGrant } from './ports/grants.js';
import type { RecordDetails } from './record.js';

const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;

/** Details that name the grant that paid, or that could not. */
export const paidBy = (details: RecordDetails, ruleId: string, decision: 'allow' | 'deny'): RecordDetails => ({
  ...details,
  authz: { ...details.authz, decision, ruleId },
});

/** What is answered and recorded when this grant pays: its lease counts, not that of the first that allows. */
export function paidFor<Answer>(
  { answer, details }: Pick<Prepared<Answer>, 'answer' | 'details'>,
  { ruleId, lease = LONGEST_LEASE }: LimitedGrant,
  now: number,
): Pick<Prepared<Answer>, 'answer' | 'details'> {
  const paid = paidBy(details, ruleId, 'allow');
  if (typeof answer !== 'object' || answer === null || !('lease' in answer)) return { answer, details: paid };
  return { answer: { ...answer, lease }, details: leased(paid, lease, now) };
}

/** Which of the two windows is full is not known: the shorter one that a limit names. */
export function overLimit(charges: readonly LimitedGrant[], now: number): Refused {
  const window = charges.some(({ limits }) => limits.perMinute !== undefined) ? MINUTE_MS : DAY_MS;
  const retryAfterSeconds = Math.ceil((window - (now % window)) / 1000);
  return new Refused('too-many-requests', '', { reason: 'limit-reached', why: 'limit-reached', retryAfterSeconds });
}
