import type { StoredRecord } from '../../trail-of.js';
import type { Wall } from '../admin-clients.js';
import { CUSTOMERS, type Evidence, itemsIn } from '../evidence.js';
import type { LedgerCall } from '../ledger.js';

/** Promise 2: behind what closed nothing is accepted, by the order of the trail; and independently by the client's clock. */
export const fence = (evidence: Evidence): string[] => [
  ...CUSTOMERS.flatMap((name) => byTheTrail(name, evidence)),
  ...byTheClock(evidence.calls),
];

/** What is closed at one place in a log. */
class Closed {
  readonly #stops = new Map<string, Readonly<Record<string, unknown>>>();
  readonly #disabled = new Set<string>();
  #policy = 0;

  constructor(private readonly policies: ReadonlyMap<number, number>) {}

  take({ op, outcome, body: { key, change = {} } }: StoredRecord): void {
    if (outcome !== 'succeeded') return;
    if (op === 'Stop') this.#stops.set(change['stopId'] as string, change);
    if (op === 'Lift') this.#stops.delete(change['stopId'] as string);
    if (op === 'DisableKey' || op === 'ScheduleKeyDeletion') this.#disabled.add(key!.id);
    if (op === 'EnableKey' || op === 'CancelKeyDeletion') this.#disabled.delete(key!.id);
    if (op === 'PutPolicy') {
      const version = change['policyVersion'] as number | { after: number };
      this.#policy = typeof version === 'number' ? version : version.after;
    }
  }

  /** Why a use must not be accepted here; undefined: it may. */
  reason({ body: { key, actor } }: StoredRecord): string | undefined {
    const stop = [...this.#stops.values()].find(
      ({ scope, service, keyId }) =>
        scope === 'everything' || scope === 'context' || service === actor.principal || (scope === 'key' && keyId === key?.id),
    );
    if (stop !== undefined) return `a stop of ${String(stop['scope'])}`;
    if (key !== undefined && this.#disabled.has(key.id)) return 'a disabled key';
    return this.policies.get(this.#policy) === 0 ? 'a policy without grants' : undefined;
  }

  get isStopped(): boolean {
    return this.#stops.size > 0;
  }
}

function byTheTrail(tenant: string, { logs, states }: Evidence): string[] {
  const closed = new Closed(new Map(states.get(tenant)!.policies.map(({ version, grants }) => [version, grants])));
  const revokedAt = new Map<string, string>();
  for (const { op, outcome, body } of logs.get('platform')!)
    if (op === 'RevokeServiceCredential' && outcome === 'succeeded') {
      const id = body.change!['credentialId'] as string;
      revokedAt.set(id, revokedAt.get(id) ?? body.recordedAt);
    }
  const late: string[] = [];
  for (const record of logs.get(tenant)!) {
    closed.take(record);
    const { seq, op, outcome, body } = record;
    if (body.category !== 'use') continue;
    if (outcome !== 'succeeded') {
      // Refused by a stop that is no more, by the same order.
      if (body.error?.code === 'stopped' && !closed.isStopped) late.push(`${tenant} ${seq}: ${op} was refused by a stop behind its lift`);
      continue;
    }
    const reason = closed.reason(record);
    if (reason !== undefined) late.push(`${tenant} ${seq}: ${op} was accepted behind ${reason}`);
    // Between two logs the database's clock tells, as RFC 3339 does: texts of one length.
    const revoked = revokedAt.get(body.actor.credentialId ?? '');
    if (revoked !== undefined && body.recordedAt > revoked)
      late.push(`${tenant} ${seq}: ${op} was accepted of a credential revoked before`);
  }
  return late;
}

interface Interval {
  readonly tenant: string;
  readonly wall: Wall;
  readonly from: number;
  readonly until: number;
}

/** Answers to what was asked and answered while it was closed. */
export function byTheClock(calls: readonly LedgerCall[]): string[] {
  const intervals = closedFor(calls);
  return calls.flatMap((call) => {
    const { n, op, status, askedAt, answeredAt = 0, about, got } = call;
    if (status !== 200 || about['items'] === undefined || itemsIn(got).every(({ code }) => code !== undefined)) return [];
    const inside = intervals.find((one) => askedAt > one.from && answeredAt < one.until && stands(one, call));
    return inside === undefined ? [] : [`call ${n}: ${op} was answered while ${inside.wall.of} was closed, by the client's clock`];
  });
}

/** From the answer to what closed until what opens is asked for. A wall that an older call may still open is none. */
function closedFor(calls: readonly LedgerCall[]): Interval[] {
  const openings = calls.filter(({ about }) => about['opens'] !== undefined);
  return calls.flatMap(({ about, tenant, askedAt, answeredAt = 0, status = 0 }) => {
    const wall = about['closes'] as Wall | undefined;
    if (wall === undefined || status < 200 || status >= 300) return [];
    const isSame = (one: LedgerCall) => one.tenant === tenant && JSON.stringify(one.about['opens']) === JSON.stringify(wall);
    const isOpen = openings.some((one) => isSame(one) && one.askedAt < askedAt && [0, 503].includes(one.status ?? 0));
    if (isOpen) return [];
    const opening = openings.find((one) => one.about['pair'] === about['pair']);
    return [{ tenant, wall, from: answeredAt, until: opening?.askedAt ?? Number.POSITIVE_INFINITY }];
  });
}

function stands({ wall, tenant }: Interval, call: LedgerCall): boolean {
  if (wall.of === 'credential') return call.about['credentialId'] === wall.credentialId;
  if (call.tenant !== tenant) return false;
  if (wall.of !== 'key') return true;
  // In a batch some items may be of other keys.
  return itemsIn(call.got).some(({ keyId }) => keyId === wall.keyId);
}
