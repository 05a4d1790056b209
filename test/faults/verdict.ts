import type pg from 'pg';
import type { KeptAnswers } from './kept-answers.js';
import { countBehind, firstBehind, type Place } from './places.js';

/** A yes that became a no, or the other way round: when the client asked for it and had the answer, and its place in the log. */
export interface Change {
  readonly closes: boolean;
  readonly sentAt: number;
  readonly returnedAt: number;
  readonly place: Place;
}

export interface Seen {
  /** The operation that the callers ask for. */
  readonly op: string;
  /** One after the other; the first closes. */
  readonly changes: readonly Change[];
  readonly answers: KeptAnswers;
}

/** What must not be: all of them 0. */
export interface Violations {
  /** Success records behind what closed and before what opened. */
  readonly lateRecords: number;
  /** Calls sent after a closing change had returned, answered 200 before the opening one was sent. */
  readonly lateAnswers: number;
  /** Refusals on record behind what opened and before what closed. */
  readonly staleRecords: number;
  /** Calls sent after an opening change had returned, refused before the closing one was sent. */
  readonly staleAnswers: number;
  /** Records before a change that had returned when their call was sent, or behind one that was sent after their answer. */
  readonly outOfOrder: number;
}

export interface Verdict {
  readonly violations: Violations;
  /** Calls that the client knows to have been made wholly under a closed, or wholly under an open rule. Without any, nothing was shown. */
  readonly surelyClosed: number;
  readonly surelyOpen: number;
}

const REFUSED = new Set([401, 403, 409]);

/** By the order of the trail and, independently of it, by the client's clock. */
export async function judge(database: pg.Client, { op, changes, answers }: Seen): Promise<Verdict> {
  const firsts = await firstBehind(
    database,
    changes.map(({ place }) => place),
  );
  const counted = { lateRecords: 0, lateAnswers: 0, staleRecords: 0, staleAnswers: 0, outOfOrder: 0 };
  for (const { phase, outcome, count } of await countBehind(database, op, firsts)) {
    if (changes[phase]!.closes && outcome === 'succeeded') counted.lateRecords += count;
    if (!changes[phase]!.closes && outcome === 'refused') counted.staleRecords += count;
  }
  const [sent, returned] = [Float64Array.from(changes, ({ sentAt }) => sentAt), Float64Array.from(changes, ({ returnedAt }) => returnedAt)];
  let surelyClosed = 0;
  let surelyOpen = 0;
  for (const { sentAt, endedAt, status, seq } of answers) {
    const done = earlier(returned, sentAt);
    const begun = earlier(sent, endedAt);
    if (seq !== undefined && (seq < (firsts[done - 1] ?? 0) || seq >= (firsts[begun] ?? Number.POSITIVE_INFINITY))) counted.outOfOrder++;
    if (begun !== done || done === 0) continue;
    const { closes } = changes[done - 1]!;
    if (closes && status === 200) counted.lateAnswers++;
    if (!closes && REFUSED.has(status)) counted.staleAnswers++;
    if (closes && status !== 0) surelyClosed++;
    if (!closes && status === 200) surelyOpen++;
  }
  return { violations: counted, surelyClosed, surelyOpen };
}

/** How many of these ascending times are before `time`. */
function earlier(times: Float64Array, time: number): number {
  let [low, high] = [0, times.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (times[middle]! < time) low = middle + 1;
    else high = middle;
  }
  return low;
}
