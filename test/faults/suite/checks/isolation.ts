import { acknowledged, CUSTOMERS, type Evidence, itemsIn, type StateOf } from '../evidence.js';
import type { LedgerCall } from '../ledger.js';

const SERVICE_OF: Readonly<Record<string, string>> = { acme: 'billing', globex: 'shipping' };

/** Nobody is answered what is another's, neither another tenant's nor another call's. */
export function isolation(evidence: Evidence): string[] {
  const given = acknowledged(evidence.calls);
  return [
    ...evidence.calls.flatMap((call) => [...ofForeign(call), ...ofAnswer(call, given, evidence.states)]),
    ...givenTwice(evidence.calls),
    ...CUSTOMERS.flatMap((tenant) => ofLog(tenant, evidence)),
  ];
}

/** Two tenants meet in a batch: its other items are one's own. */
function ofForeign({ n, op, status, about, by, tenant }: LedgerCall): string[] {
  const isAnswered = status === 200 && about['foreign'] === true && itemsIn(about).length <= 1;
  return isAnswered ? [`call ${n}: ${by} was answered ${op} of another tenant's, at ${tenant}`] : [];
}

function ofAnswer(
  { n, op, status, tenant, about, got }: LedgerCall,
  given: ReturnType<typeof acknowledged>,
  states: ReadonlyMap<string, StateOf>,
): string[] {
  if (status !== 200) return [];
  return itemsIn(got).flatMap(({ digest, keyId }, index) => {
    const sealed = given.get(itemsIn(about)[index]?.ciphertext ?? '');
    const isForeign = keyId !== undefined && !states.get(tenant)!.keys.some((key) => key.keyId === keyId);
    return [
      ...(op === 'Decrypt' && digest !== undefined && sealed?.digest !== digest ? [`call ${n}: was answered another plaintext`] : []),
      ...(digest !== undefined && sealed !== undefined && sealed.tenant !== tenant
        ? [`call ${n}: opened ${sealed.tenant}'s at ${tenant}`]
        : []),
      ...(isForeign ? [`call ${n}: was answered with a key that is not ${tenant}'s`] : []),
    ];
  });
}

/** Data keys and ciphertexts are new each time: two equal ones are one answer that was given to two. */
function givenTwice(calls: readonly LedgerCall[]): string[] {
  const seen = new Map<string, number>();
  return calls.flatMap(({ n, op, status, got }) => {
    if (status !== 200) return [];
    const fresh = itemsIn(got).flatMap(({ ciphertext, digest }) => [ciphertext, op === 'GenerateDataKey' ? digest : undefined]);
    return fresh.flatMap((one) => {
      if (one === undefined) return [];
      const first = seen.get(one);
      seen.set(one, n);
      return first === undefined ? [] : [`call ${n}: was answered what call ${first} was answered`];
    });
  });
}

function ofLog(tenant: string, { logs, states }: Evidence): string[] {
  const own = new Set(states.get(tenant)!.keys.map(({ keyId }) => keyId));
  return logs.get(tenant)!.flatMap(({ seq, op, outcome, body: { key, actor, category } }) => {
    if (outcome !== 'succeeded') return [];
    const isForeign = key !== undefined && !own.has(key.id);
    const isStranger = category === 'use' && actor.principal !== SERVICE_OF[tenant];
    return isForeign || isStranger ? [`${tenant} ${seq}: ${op} by ${actor.principal}, of ${key?.id ?? 'no key'}`] : [];
  });
}
