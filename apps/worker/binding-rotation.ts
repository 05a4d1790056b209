import { PLATFORM } from '#contract';
import { type BindingKeeping, type BindingRotationStore, type Clock, systemClock, workerRecord } from '#core';
import type { JobKind } from './jobs/job-kind.js';

const PAGE = 50;
/** One job must end before a process that drains does. */
const PAGES_A_JOB = 20;
/**
 * A custodian that did not hear of the new key binds by the older one for 10 s at most (custody/pkcs11/binding-keys.ts), and who asked it
 * waits for 2 s: what is written down after that is bound by the new one.
 */
const SETTLED_MS = 60_000;

export interface BindingRotationParts {
  readonly bindings: BindingRotationStore;
  readonly custody: BindingKeeping;
  readonly clock?: Clock;
  readonly settledMs?: number;
  /** As `platformName` says it. */
  readonly platform?: string;
}

/**
 * Carries out the rotation of the binding key that an operator began: every row that is bound is bound by the new key, then no decision
 * that rests on an older MAC is accepted any more; then, when an operator says so, the older key is destroyed, and the record tells it.
 * Each step may be repeated, and the next one begins where the database says.
 */
export const rotateBindingKey = (parts: BindingRotationParts): JobKind => ({
  ...{ name: 'rotate-binding-key', everyMs: 5000 },
  due: async () => ((await parts.bindings.bindingRotation(false)) === undefined ? [] : [{ tenant: PLATFORM, subject: 'binding-key' }]),
  run: async () => {
    const { bindings, custody, clock = systemClock, settledMs = SETTLED_MS, platform } = parts;
    const rotation = await bindings.bindingRotation(true);
    if (rotation === undefined || !(await rebind(parts, rotation.number))) return;
    const { number, rebound, retireMac, logId } = rotation;
    if (!rebound) return void (await bindings.endRebinding(number, settledMs));
    if (retireMac === undefined) return;
    await custody.destroyOlderBindingKeys(number, retireMac);
    const done = { op: 'DestroyBindingKey', category: 'platform', platform, change: { number, destroyed: number - 1 } } as const;
    await bindings.bindingKeyDestroyed(number, workerRecord(logId, clock.now().getTime(), done));
  },
});

/** Whether nothing is left. A row that the older key had not bound keeps what it has: nobody's word becomes anything by this. */
async function rebind({ bindings, custody }: BindingRotationParts, number: number): Promise<boolean> {
  for (let page = 0; page < PAGES_A_JOB; page++) {
    const rows = await bindings.rowsToRebind(number, PAGE);
    if (rows.length === 0) return true;
    await Promise.all(rows.map(async (row) => bindings.saveRebound(number, row, row.bindable && (await custody.rebind(row.bindable)))));
  }
  return false;
}
