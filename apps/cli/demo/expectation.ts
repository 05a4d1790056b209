import { type TrailRecord, trailRecord } from '#contract';
import { KeywardError } from '#sdk';
import type { Reader } from './cast.js';
import { narrate } from './narrate.js';

/** Something was not as it should be: the demo ends here, and not with 0. */
export class NotAsExpected extends Error {
  constructor(
    readonly what: string,
    readonly expected: string,
    readonly actual: string,
  ) {
    super(`${what}: expected ${expected}, got ${actual}`);
  }
}

/** @throws NotAsExpected unless both are the same */
export function same<Value extends string | number | boolean>(what: string, actual: Value, expected: Value): void {
  if (actual !== expected) throw new NotAsExpected(what, String(expected), String(actual));
}

export interface Refusal {
  /** In plain words: what was tried. */
  readonly what: string;
  attempt(): Promise<unknown>;
  /** What the caller is told. */
  readonly code: string;
  /** What the record says, and the caller does not learn. */
  readonly reason: string;
}

/**
 * Tries what must fail, then reads its record as the tenant's auditor: the caller's code and the true reason must both be right.
 * Answers the record. @throws NotAsExpected
 */
export async function mustBeRefused({ what, attempt, code, reason }: Refusal, auditor: Reader): Promise<TrailRecord> {
  const refusal = await refusalOf(what, attempt);
  same(`${what}: the code that the caller is told`, refusal.code, code);
  if (refusal.requestId === undefined) throw new NotAsExpected(what, 'an answer with a request id', refusal.message);
  const record = await recordOf(auditor, refusal.requestId);
  same(`${what}: the record that the answer names`, refusal.record ?? -1, record.seq);
  same(`${what}: the code in record ${record.seq}`, record.error?.code ?? 'none', code);
  same(`${what}: the reason in record ${record.seq}`, record.error?.reason ?? 'none', reason);
  narrate.checked(`${what}: refused with ${refusal.status} ${refusal.code}; record ${record.seq} has the true reason: ${reason}`);
  return record;
}

async function refusalOf(what: string, attempt: () => Promise<unknown>): Promise<KeywardError> {
  try {
    await attempt();
  } catch (error) {
    if (error instanceof KeywardError) return error;
    throw error;
  }
  throw new NotAsExpected(what, 'a refusal', 'a success');
}

/** The one record of a request, as its tenant's auditor sees it. @throws NotAsExpected unless there is exactly one */
export async function recordOf({ admin, tenant }: Reader, requestId: string): Promise<TrailRecord> {
  const { items } = await admin.listRecords(tenant, { requestId });
  same(`records of request ${requestId}`, items.length, 1);
  return trailRecord.parse(items[0]);
}

/** For a credential that must not be one (any more): nobody is told whose it was, and there is no tenant to record it for. */
export async function mustBeUnauthenticated(what: string, attempt: () => Promise<unknown>): Promise<void> {
  same(what, (await refusalOf(what, attempt)).code, 'unauthenticated');
}
