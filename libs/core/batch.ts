import type { OperationName } from '#contract';
import { overLimit, paidBy, paidFor } from './charges.js';
import { type KeywardError, TrailUnavailable } from './errors.js';
import type { Done } from './handler.js';
import type { AnswerOf, InputOf } from './operation-shapes.js';
import type { LimitedGrant } from './ports/grants.js';
import type { Appended } from './ports/trail.js';
import type { Ending, RecordDetails } from './record.js';

/** One item of a batch as the edge hands it over: what is asked, or why it cannot be. */
export type BatchItem<Operation extends OperationName> = { readonly input: InputOf<Operation> } | { readonly error: KeywardError };

/** What became of one item: its answer, and the place of the record that tells of it; or an error, which has its own. */
export type ItemOutcome<Operation extends OperationName> =
  | { readonly answer: AnswerOf<Operation>; readonly record: bigint }
  | { readonly error: KeywardError };

/** An item that was worked on and waits for its record. `payer`: which of the grants that allow it is asked to pay. */
interface Tried<Operation extends OperationName> {
  readonly index: number;
  readonly done: Done<Operation>;
  readonly payer: number;
}

/** Items whose records would be equal share one, which counts them. */
interface Group<Operation extends OperationName> extends Ending {
  readonly members: readonly Tried<Operation>[];
  readonly validUntil: number | undefined;
  readonly charge: LimitedGrant | undefined;
}

/** The items of one request on their way: who has an outcome, who is to be decided again, and every byte that must not stay behind. */
export class Batch<Operation extends OperationName> {
  readonly outcomes: (ItemOutcome<Operation> | undefined)[];
  readonly #discarded = new Set<number>();
  readonly #secrets = new Set<Uint8Array>();

  constructor(readonly items: readonly BatchItem<Operation>[]) {
    this.outcomes = items.map(() => undefined);
  }

  /** Those without an outcome. */
  get open(): number[] {
    return [...this.items.keys()].filter((index) => this.outcomes[index] === undefined);
  }

  /** Worked on, not yet recorded. */
  tried(index: number, done: Done<Operation>): Tried<Operation>[] {
    if ('answer' in done && done.secret !== undefined) this.#secrets.add(done.secret);
    return [{ index, done, payer: 0 }];
  }

  /**
   * Has every item recorded: all records in one append, more only where a limit is full. What a fence refused is wiped and stays open.
   * @throws TrailUnavailable when it is not known what was recorded
   */
  async record(
    tried: readonly Tried<Operation>[],
    append: (groups: readonly Group<Operation>[]) => Promise<Appended[]>,
    now: number,
  ): Promise<void> {
    let waiting = tried;
    while (waiting.length > 0) {
      const groups = this.#grouped(waiting, now);
      const verdicts = await append(groups);
      waiting = groups.flatMap((group, at) => this.#settle(group, verdicts[at]!, now));
    }
  }

  /** Whoever is still open has been stale twice. */
  closed(): ItemOutcome<Operation>[] {
    return this.outcomes.map((outcome) => outcome ?? { error: new TrailUnavailable('stale twice') });
  }

  /** Wipes every result, released or not. The name is that of bytes, because it stands for them. */
  fill(_zero: 0): void {
    for (const secret of this.#secrets) secret.fill(0);
  }

  #grouped(tried: readonly Tried<Operation>[], now: number): Group<Operation>[] {
    const [questionOf, wordingOf] = [numbering(), numbering()];
    const wordings: number[] = [];
    const nameOf = (details: RecordDetails) => (wordings[questionOf(details)] ??= wordingOf(JSON.stringify(details)));
    const groups = Map.groupBy(tried, ({ done, payer }) => {
      // That two items share a record must not tell who has no grant which of the keys they name exists: only equal questions share it.
      if ('error' in done && done.error.code === 'not-granted') return questionOf(done.details);
      const ending = 'error' in done ? `${done.error.code} ${done.error.reason}` : done.charges?.[payer]?.ruleId;
      return `${nameOf(done.details)} ${done.validUntil} ${ending}`;
    });
    return [...groups.values()].map((members) => {
      const discarded = members.filter(({ index }) => this.#discarded.has(index)).length;
      return { ...endingOf(members[0]!, now), members, discarded, count: members.length, validUntil: members[0]!.done.validUntil };
    });
  }

  /** Answers who is to be recorded otherwise: the grant that was to pay had no room for all. */
  #settle({ members, charge }: Group<Operation>, verdict: Appended, now: number): Tried<Operation>[] {
    switch (verdict.verdict) {
      case 'durable':
        for (const { index, done } of members)
          this.outcomes[index] = outcomeOf(
            charge === undefined || 'error' in done ? done : { ...done, ...paidFor(done, charge, now) },
            verdict.seq,
          );
        return [];
      case 'over-limit':
        return members.map((one, place) => (charge !== undefined && place < verdict.room ? one : this.#unpaid(one, now)));
      case 'stale':
      case 'expired':
        for (const { index, done } of members) {
          if ('answer' in done) this.#discarded.add(index);
          this.#wipe(done);
        }
        return [];
    }
  }

  /** The next grant pays; without one the limits are full, and that is the item's outcome. */
  #unpaid({ index, done, payer }: Tried<Operation>, now: number): Tried<Operation> {
    if ('error' in done) return { index, done, payer };
    const charges = done.charges ?? [];
    if (payer + 1 < charges.length) return { index, done, payer: payer + 1 };
    this.#wipe(done);
    const { details, validUntil } = done;
    const declined = { error: overLimit(charges, now), details: paidBy(details, charges[0]?.ruleId ?? '', 'deny'), validUntil };
    return { index, done: declined, payer };
  }

  #wipe(done: Done<Operation>): void {
    if (!('answer' in done) || done.secret === undefined) return;
    done.secret.fill(0);
    this.#secrets.delete(done.secret);
  }
}

/** Numbers what it is asked about; the same object, or an equal text, has one number. */
function numbering(): (thing: object | string) => number {
  const numbers = new Map<object | string, number>();
  return (thing) => numbers.get(thing) ?? numbers.set(thing, numbers.size).get(thing)!;
}

function endingOf<Operation extends OperationName>({ done, payer }: Tried<Operation>, now: number) {
  if ('error' in done) return { error: done.error, details: done.details, charge: undefined };
  const charge = done.charges?.[payer];
  return { error: undefined, details: charge === undefined ? done.details : paidFor(done, charge, now).details, charge };
}

function outcomeOf<Operation extends OperationName>(done: Done<Operation>, seq: bigint): ItemOutcome<Operation> {
  if ('answer' in done) return { answer: done.answer, record: seq };
  done.error.record = seq;
  return { error: done.error };
}
