import type { KeyUsageAnswer } from '#contract';
import type { Handlers, Step } from '../pipeline.js';
import type { PolicyTools } from '../ports/grants.js';
import type { KeyUses, UseReads } from '../ports/reads.js';
import { grouped } from './grouped.js';
import { ownKey } from './own-key.js';
import { usersOf } from './who-can.js';

const DAY_MS = 86_400_000;
const LATELY_DAYS = 30;

type Service = KeyUsageAnswer['services'][number];

export interface KeyUsageParts {
  readonly uses: Pick<UseReads, 'keyUses'>;
  readonly tools: Pick<PolicyTools, 'whoCan'>;
}

/** The beginning of a day, UTC: the ledger counts by days. */
export const lately = (now: number): Date => new Date(DAY_MS * (Math.floor(now / DAY_MS) - LATELY_DAYS));

/** What breaks if a key is disabled: who uses it, how much, when last, what they may still hold, and who else may. */
export const keyUsageHandlers = ({ uses, tools }: KeyUsageParts): Handlers<'DescribeKeyUsage'> => ({
  DescribeKeyUsage: async (step: Step<'DescribeKeyUsage'>) => {
    const { call, snapshot, now } = step;
    const key = await ownKey(step, step.input.keyId);
    const since = lately(now);
    const found = await uses.keyUses(call.tenant, key.keyId, since);
    const services = servicesOf(found).sort((a, b) => b.usesLately - a.usesLately || a.service.localeCompare(b.service));
    const usableBy = key.state === 'Enabled' ? usersOf(tools, snapshot, key) : [];
    const answer: KeyUsageAnswer = {
      ...{ keyId: key.keyId, asOf: found.asOf, since: since.toISOString(), services, leasesComplete: found.leasesComplete, usableBy },
      sentences: sentences(services),
    };
    return { answer, details: { key: { id: key.keyId, state: key.state } } };
  },
});

function servicesOf({ uses, leases }: KeyUses): Service[] {
  return [...Map.groupBy(uses, ({ service }) => service)].map(([service, operations]): Service => {
    const sum = (of: 'uses' | 'usesLately' | 'refusedLately') => operations.reduce((all, one) => all + one[of], 0);
    const last = operations
      .flatMap((one) => one.lastUse ?? [])
      .sort()
      .at(-1);
    const held = leases.find((one) => one.service === service);
    return {
      service,
      ...(last !== undefined && { lastUse: last }),
      ...{ uses: sum('uses'), usesLately: sum('usesLately'), refusedLately: sum('refusedLately') },
      operations: operations.map(({ service: _, ...operation }) => operation),
      leases: held === undefined ? { count: 0 } : { count: held.count, until: held.until },
    };
  });
}

function sentences(services: readonly Service[]): string[] {
  const active = services.filter(({ usesLately }) => usesLately > 0);
  if (active.length === 0) return [`No service has used it in the last ${LATELY_DAYS} days.`];
  return active.map(({ service, usesLately, lastUse, operations, leases }) => {
    const names = [...new Set(operations.filter((one) => one.usesLately > 0).map(({ operation }) => operation))].join(', ');
    const holding = leases.count === 0 ? '' : ` It may hold ${grouped(leases.count)} data keys until ${leases.until}.`;
    return `${service} would fail: ${grouped(usesLately)} calls in the last ${LATELY_DAYS} days (${names}), the last at ${lastUse}.${holding}`;
  });
}
