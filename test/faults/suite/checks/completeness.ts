import type { StoredRecord } from '../../trail-of.js';
import { CUSTOMERS, type Evidence, itemsIn, LOGS } from '../evidence.js';
import type { LedgerCall } from '../ledger.js';
import { effectsOf } from './effects.js';

/** Turned away before any decision, or not known what became of it. */
const UNDECIDED = new Set([0, 401, 429, 503]);
/** An auditor's reads are counted, and recorded once the minute is over. */
const isCounted = ({ by }: LedgerCall) => by.endsWith('-auditor');
const RECORDED_AS: Readonly<Record<string, readonly string[]>> = { ReEncrypt: ['ReEncryptFrom', 'ReEncryptTo'] };

/** Promise 3: whoever got an answer is in the trail, just so; who is in the trail asked; and what it says was done is done. */
export function completeness(evidence: Evidence): string[] {
  const records = new Map<string, StoredRecord[]>();
  for (const log of LOGS)
    for (const record of evidence.logs.get(log)!) records.set(record.requestId, [...(records.get(record.requestId) ?? []), record]);
  const answers = evidence.calls.filter((call) => !isCounted(call) && !UNDECIDED.has(call.status ?? 0));
  return [
    ...answers.flatMap((call) => unlessTold(call, records.get(call.requestId ?? '') ?? [])),
    ...unasked(evidence),
    ...CUSTOMERS.flatMap((name) => effectsOf(name, evidence)),
  ];
}

function unlessTold(call: LedgerCall, records: readonly StoredRecord[]): string[] {
  const { n, op, status = 0, seq, about, got } = call;
  const name = `call ${n} (${op}, ${status})`;
  if (seq !== undefined && !records.some((record) => record.seq === seq)) return [`${name}: no record at ${seq} has its request id`];
  const count = (outcome: (name: string) => boolean) =>
    records.filter((record) => outcome(record.outcome)).reduce((sum, { body }) => sum + (body.count ?? 1), 0);
  const isSuccess = (outcome: string) => outcome === 'succeeded';
  const succeeded = count(isSuccess);
  // What was opened to be sealed anew, and then was not, was opened.
  const halves = op === 'ReEncrypt' ? records.filter((record) => record.op === 'ReEncryptFrom' && isSuccess(record.outcome)).length : 0;
  if (status >= 300)
    return succeeded === halves && records.length > halves ? [] : [`${name}: ${records.length} records, ${succeeded} of a success`];
  const items = itemsIn(about).length > 1 ? itemsIn(got) : [];
  const done = items.length === 0 ? 1 : items.filter(({ code }) => code === undefined).length;
  const expected = done * (RECORDED_AS[op]?.length ?? 1);
  const missing = items.filter(({ record, code }) => code !== 'unavailable' && !records.some(({ seq: place }) => place === record));
  return [
    ...(succeeded === expected ? [] : [`${name}: ${expected} successes, of which ${succeeded} are recorded`]),
    ...(missing.length === 0 ? [] : [`${name}: ${missing.length} of its items have no record`]),
  ];
}

/** Records whose calls nobody made: at most as many as there are calls that nobody answered. */
function unasked({ calls, logs, begun }: Evidence): string[] {
  const known = new Set(calls.map(({ requestId }) => requestId));
  const open = new Map<string, number>();
  const add = (key: string, by: number) => open.set(key, (open.get(key) ?? 0) + by);
  for (const { tenant, op, status, about } of calls)
    if (status === 0 || status === undefined)
      for (const recorded of RECORDED_AS[op] ?? [op]) add(`${recorded} of ${tenant}`, Math.max(1, itemsIn(about).length));
  for (const log of LOGS)
    for (const { requestId, seq, op, body } of logs.get(log)!.slice(begun.get(log)))
      if (!known.has(requestId) && body.actor.type !== 'worker' && body.category !== 'audit' && seq >= 0) add(`${op} of ${log}`, -1);
  return [...open].filter(([, left]) => left < 0).map(([what, left]) => `${-left} records of ${what} that nobody asked for`);
}
