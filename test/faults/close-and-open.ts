import { setTimeout as sleep } from 'node:timers/promises';
import type { Authority } from './authority.js';
import { KeptAnswers } from './kept-answers.js';
import type { KindOfChange } from './kinds-of-change.js';
import { type Callers, startCallers } from './load.js';
import { type Change, judge, type Verdict } from './verdict.js';

const CLIENTS = 128;
/** On the key plane every call changes state, on a few connections: more callers would only wait longer. */
const KEY_PLANE_CLIENTS = 32;
/** Twenty closing and twenty opening. */
const CHANGES_A_SECOND = 40;
/** Once in so many pairs of changes both phases last until this many calls were made wholly within each. */
const LINGER_EVERY = 40;
const LINGERING_CALLS = 64;
const PATIENCE_MS = 20_000;

export interface RunOptions {
  /** At least so long, and at least so many changes. */
  readonly seconds: number;
  readonly changes: number;
  /** Something else that happens during the changes; they end when it has ended, too. */
  readonly meanwhile?: (run: Run) => Promise<unknown>;
}

/** A run under way. */
export interface Run {
  readonly callers: Callers;
  readonly changes: readonly Change[];
  /** Resolves when so many more calls were answered by this plane, sent from now on. */
  answered(plane: number, calls: number): Promise<void>;
}

export interface Result extends Verdict {
  readonly changes: number;
  /** Changes a second while nothing lingered. */
  readonly rate: number;
  /** Of the changes: how many were sent while every plane had calls in flight. */
  readonly underLoad: number;
  /** What each closing change took, from the call to its answer. */
  readonly closingMs: readonly number[];
  readonly answers: number;
  readonly statuses: Readonly<Record<number, number>>;
}

/** Closes and opens under full load, as fast as it goes up to 40 changes a second, and judges what happened meanwhile. */
export async function closeAndOpen(authority: Authority, kind: KindOfChange, options: RunOptions): Promise<Result> {
  const { urls } = authority.world.platform;
  const planes = kind.plane === 'data' ? urls.dataPlanes : [urls.keyPlane];
  await kind.prepare?.();
  const answers = new KeptAnswers();
  const statuses: Record<number, number> = {};
  const watches = new Set<(sentAt: number, plane: number, status: number) => void>();
  const callers = startCallers({
    planes,
    clients: kind.plane === 'data' ? CLIENTS : KEY_PLANE_CLIENTS,
    call: () => kind.call(),
    onEnd: (outcome) => {
      answers.add(outcome);
      statuses[outcome.status] = (statuses[outcome.status] ?? 0) + 1;
      for (const watch of watches) watch(outcome.sentAt, outcome.plane, outcome.status);
    },
  });
  const answered = async (calls: number, of: { plane?: number; status?: number } = {}) => {
    const from = performance.now();
    let left = calls;
    const watch = (sentAt: number, plane: number, status: number) => {
      if (sentAt > from && (of.plane ?? plane) === plane && (of.status ?? status) === status) left--;
    };
    watches.add(watch);
    while (left > 0 && performance.now() < from + PATIENCE_MS) await sleep(1);
    watches.delete(watch);
    if (left > 0) throw new Error(`Only ${calls - left} of ${calls} calls were answered: ${JSON.stringify(statuses)}`);
  };
  const changes: Change[] = [];
  try {
    for (const plane of planes.keys()) await answered(8, { plane, status: 200 });
    const paced = await changeAgainAndAgain(
      kind,
      planes.length,
      { callers, changes, answered: (plane, calls) => answered(calls, { plane }) },
      options,
      () => answered(LINGERING_CALLS),
    );
    await callers.stop();
    const verdict = await judge(authority.database, { op: kind.op, changes, answers });
    const closingMs = changes.flatMap(({ closes, sentAt, returnedAt }) => (closes ? [returnedAt - sentAt] : []));
    return { ...verdict, ...paced, closingMs, changes: changes.length, answers: answers.size, statuses };
  } finally {
    await callers.stop();
    await kind.end?.();
  }
}

async function changeAgainAndAgain(
  kind: KindOfChange,
  planes: number,
  run: Run & { readonly changes: Change[] },
  { seconds, changes: least, meanwhile }: RunOptions,
  linger: () => Promise<void>,
): Promise<{ rate: number; underLoad: number }> {
  const { callers, changes } = run;
  const startedAt = performance.now();
  let busy = true;
  const other = Promise.allSettled([meanwhile?.(run)]).finally(() => (busy = false));
  let underLoad = 0;
  let lingered = 0;
  let slot = startedAt;
  const enough = () => changes.length >= least && performance.now() - startedAt >= 1000 * seconds && !busy;
  for (let pair = 0; !enough(); pair++) {
    for (const closes of [true, false]) {
      await sleep(Math.max(0, slot - performance.now()));
      slot = Math.max(slot + 1000 / CHANGES_A_SECOND, performance.now());
      if (Array.from({ length: planes }, (_, plane) => callers.inFlight(plane)).every((calls) => calls > 0)) underLoad++;
      changes.push(await made(kind, closes));
      if (pair % LINGER_EVERY !== 0) continue;
      const from = performance.now();
      await linger();
      lingered += performance.now() - from;
    }
  }
  const rate = (1000 * changes.length) / (performance.now() - startedAt - lingered);
  const [settled] = await other;
  if (settled.status === 'rejected') throw settled.reason;
  return { rate: Math.round(10 * rate) / 10, underLoad };
}

async function made(kind: KindOfChange, closes: boolean): Promise<Change> {
  const sentAt = performance.now();
  const { place, passed } = await (closes ? kind.close() : kind.open());
  return { closes, place, sentAt: passed?.from ?? sentAt, returnedAt: passed?.until ?? performance.now() };
}
