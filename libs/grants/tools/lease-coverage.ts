import { DATA_OPERATIONS, type Grant, type Lease, LONGEST_LEASE } from '#contract';
import { operationIn } from '../selectors.js';
import type { Scope } from './scope.js';

interface GrantScope extends Scope {
  readonly rule: Grant;
}

/** Of two grants that could answer one request with different leases; more are not looked at. */
const MOST_PAIRS = 2_000;
/** Their answers carry leases. */
const LEASED = DATA_OPERATIONS.filter((operation) => operation === 'Decrypt' || operation === 'GenerateDataKey');

export const sameLease = (one: Grant, other: Grant): boolean => noLonger(one.lease, other.lease) && noLonger(other.lease, one.lease);

/**
 * Does no request get a longer lease by `after` than by `before`? Sound, not complete. Grants answer in their order, those without limits
 * first. A longer lease in the place of a shorter one is no matter where it cannot come to that: because a grant that stands before either
 * of the two allows the same, and so would answer instead.
 * @param allowsAllOf does the first allow whatever the second does?
 */
export function leasesNoLonger(
  before: readonly GrantScope[],
  after: readonly GrantScope[],
  allowsAllOf: (cover: Scope, one: Scope) => boolean,
): boolean {
  const [old, now] = [answering(before), answering(after)];
  let looked = 0;
  return now.every((grant, at) =>
    old.every((replaced, place) => {
      if (noLonger(grant.rule.lease, replaced.rule.lease) || !mayMeet(grant, replaced)) return true;
      if (++looked > MOST_PAIRS) return false;
      const [lost, gained] = [meeting(replaced, grant), meeting(grant, replaced)];
      return now.slice(0, at).some((other) => allowsAllOf(other, lost)) || old.slice(0, place).some((other) => allowsAllOf(other, gained));
    }),
  );
}

const answering = (grants: readonly GrantScope[]): readonly GrantScope[] => [
  ...grants.filter(({ rule }) => rule.limits === undefined),
  ...grants.filter(({ rule }) => rule.limits !== undefined),
];

function noLonger(lease: Lease = LONGEST_LEASE, than: Lease = LONGEST_LEASE): boolean {
  const most = (limit: number | undefined) => limit ?? Number.POSITIVE_INFINITY;
  return (
    lease.maxAgeSeconds <= than.maxAgeSeconds && most(lease.maxUses) <= most(than.maxUses) && most(lease.maxBytes) <= most(than.maxBytes)
  );
}

/** May one request be for both? */
function mayMeet(one: Scope, other: Scope): boolean {
  const { subjects, objects, operations } = meeting(one, other);
  return subjects.size > 0 && objects.length > 0 && operations.length > 0;
}

/** What of `one` may be of `other` too. Aliases and tags move, so only two ids are surely two keys. */
const meeting = (one: Scope, other: Scope): Scope => ({
  ...one,
  subjects: new Set([...one.subjects].filter((subject) => other.subjects.has(subject))),
  objects: one.objects.filter((a) => other.objects.some((b) => a === b || !(a.startsWith('key_') && b.startsWith('key_')))),
  operations: LEASED.filter((name) => [one, other].every(({ operations }) => operations.some((pattern) => operationIn(name, pattern)))),
});
