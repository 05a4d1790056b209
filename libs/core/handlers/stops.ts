import { type KeyId, LONGEST_DATA_KEY_LEASE_MS, type RevocationReceipt, type StopAnswer, type StopTarget } from '#contract';
import { sameMac } from '../api-key.js';
import { liftedDigest, liftedStopsRow, stopRow } from '../bound-rows.js';
import { takingBreaths } from '../breaths.js';
import { ANSWER_DEADLINE_MS } from '../call.js';
import { KeywardError } from '../errors.js';
import { newStopId } from '../identifiers.js';
import type { Handlers, Step } from '../pipeline.js';
import type { RuleBindings } from '../ports/custody.js';
import type { PolicyTools, TenantPolicy } from '../ports/grants.js';
import type { KeyNames, Reads, UseReads } from '../ports/reads.js';
import { saying } from '../record.js';
import type { StopSeals } from '../stop-seals.js';
import { everyKey } from './every-key.js';

/** Every decision looks at every stop: without an end, one tenant could slow all others. */
const MAX_STOPS = 100;
/** Places that only stops of everything may take: whoever has too many small ones must still be able to stop. */
const MORE_STOPS_OF_EVERYTHING = 10;
const RECEIPT_PATIENCE_MS = 1000;
/** Keys that a receipt looks at for others that the same callers may use; the contract says so. */
const SPARES_LOOKED_AT = 1000;

type StopOperation = 'Stop' | 'Lift' | 'ListStops' | 'GetStop';

export interface StopParts {
  readonly custody: Pick<RuleBindings, 'bindRule'>;
  readonly reads: Reads;
  readonly uses: UseReads;
  readonly tools: PolicyTools;
  readonly seals: StopSeals;
}

/** What the customer says without any knowledge of policies: no more, and from now on. */
export function stopHandlers({ custody, reads, uses, tools, seals }: StopParts): Handlers<StopOperation> {
  return {
    Stop: async (step) => {
      const { input, call, principal, snapshot, now } = step;
      mustHavePlace(input.target, snapshot.rules.stops.length);
      const stop: StopAnswer = { stopId: newStopId(now), ...input, stoppedBy: principal.name, stoppedAt: new Date(now).toISOString() };
      const row = stopRow(call.tenant, stop);
      const mac = await seals.inTime(() => custody.bindRule(step.permit(), row));
      return {
        answer: stop,
        details: { change: { stopId: stop.stopId, ...stop.target }, ...saying(input.reason) },
        apply: (writes) => writes.insertStop({ ...stop, mac }),
        completed: async (seq) => {
          if (mac === undefined) seals.follow(call.tenant, stop.stopId, () => custody.bindRule(step.permit(), row));
          return { ...stop, receipt: await inTime(receipt(step, stop, Number(seq))) };
        },
      };
    },

    /** Lifting opens, so it needs the HSM: only what is bound by it counts as lifted. */
    Lift: async ({ input, call, principal, snapshot, now, permit }) => {
      const { stopId } = input;
      const before = await reads.liftedStops(call.tenant);
      // The list that is bound anew must be the one whose binding was checked: else somebody lifted another meanwhile, or forged one.
      if (!sameMac(liftedDigest(before), snapshot.rules.lifted.digest))
        throw new KeywardError('precondition-failed', 'Another stop was lifted at the same time. Try again.');
      const lifted = [...before, stopId];
      const mac = await custody.bindRule(permit(), liftedStopsRow(call.tenant, { count: lifted.length, digest: liftedDigest(lifted) }));
      return {
        answer: undefined,
        details: { change: { stopId } },
        apply: (writes) => writes.liftStop(stopId, { by: principal.name, at: new Date(now), number: lifted.length, mac }),
      };
    },

    ListStops: async ({ input, call }) => ({ answer: await reads.stops(call.tenant, input), details: {} }),

    GetStop: async (step) => {
      const { stopId } = step.input;
      const stop = await reads.stop(step.call.tenant, stopId);
      if (stop === undefined) throw new KeywardError('not-found', 'There is no such stop.');
      const seq = await uses.seqOfStop(step.call.tenant, stopId);
      if (seq === undefined) return { answer: stop, details: {} };
      return { answer: { ...stop, receipt: await receipt(step, stop, Number(seq)) }, details: {} };
    },
  };

  async function receipt(
    { call, snapshot }: Pick<Step<'Stop'>, 'call' | 'snapshot'>,
    stop: StopAnswer,
    seq: number,
  ): Promise<RevocationReceipt> {
    const { tenant } = call;
    const leasedSince = new Date(Date.parse(stop.stoppedAt) - LONGEST_DATA_KEY_LEASE_MS);
    const scope = scopeOf(stop.target, (name, value) => snapshot.digest(name, value));
    const [before, checkpoint, spareKeys] = await Promise.all([
      uses.usesBefore(tenant, BigInt(seq), scope, leasedSince),
      uses.checkpointOver(tenant, BigInt(seq)),
      stop.target.scope === 'key' ? sparesOf(tenantPolicy(snapshot), stop.target.keyId as KeyId) : [],
    ]);
    const { recordedAt, lastAllowed, leases } = before;
    // What was not looked at may have had the longest lease.
    const until = leases.complete ? leases.until : leases.last && new Date(leases.last.getTime() + LONGEST_DATA_KEY_LEASE_MS);
    return {
      seq,
      recordedAt: recordedAt.toISOString(),
      ...(lastAllowed && { lastAllowed: { seq: Number(lastAllowed.seq), recordedAt: lastAllowed.recordedAt.toISOString() } }),
      answersUntil: new Date(recordedAt.getTime() + ANSWER_DEADLINE_MS).toISOString(),
      leases: {
        count: leases.count,
        complete: leases.complete,
        ...(until && { until: until.toISOString() }),
      },
      ...(checkpoint !== undefined && { checkpoint }),
      spareKeys,
    };
  }

  /** A stop of one key does not reach what else the same callers may use. */
  async function sparesOf(policy: TenantPolicy, stopped: KeyId): Promise<KeyId[]> {
    const users = (key: KeyNames) => tools.whoCan(policy, key).map(({ subject }) => subject);
    const key = await reads.namesOfKey(policy.tenant, stopped);
    const affected = new Set(key === undefined ? [] : users(key));
    const spares: KeyId[] = [];
    const breath = takingBreaths();
    let looked = 0;
    for await (const other of everyKey(reads, policy.tenant)) {
      if (affected.size === 0 || looked++ === SPARES_LOOKED_AT) break;
      if (other.keyId === stopped || other.state !== 'Enabled') continue;
      if (users(other).some((subject) => affected.has(subject))) spares.push(other.keyId);
      await breath();
    }
    return spares;
  }
}

function mustHavePlace({ scope }: StopTarget, stops: number): void {
  if (stops < MAX_STOPS) return;
  if (scope !== 'everything') throw new KeywardError('state-unchangeable', `At most ${MAX_STOPS} stops; stop everything instead.`);
  if (stops >= MAX_STOPS + MORE_STOPS_OF_EVERYTHING) throw new KeywardError('state-unchangeable', 'Everything is stopped already.');
}

/** The stop is made; whoever made it need not wait for its receipt, which GetStop answers too. */
async function inTime(receipt: Promise<RevocationReceipt>): Promise<RevocationReceipt> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new KeywardError('unavailable')), RECEIPT_PATIENCE_MS);
  try {
    return await Promise.race([receipt, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** The rules without their stops: whom a stop hits is asked as if it were not there. */
const tenantPolicy = ({ rules }: Step<'Stop'>['snapshot']): TenantPolicy => ({
  tenant: rules.tenant,
  document: rules.policy?.document,
  stops: [],
});

function scopeOf(target: StopTarget, digest: (name: string, value: string) => string): Parameters<UseReads['usesBefore']>[2] {
  switch (target.scope) {
    case 'everything':
      return {};
    case 'service':
      return { service: target.service };
    case 'key':
      return { keyId: target.keyId as KeyId };
    case 'context':
      return { contextDigest: digest(target.name, target.value) };
  }
}
