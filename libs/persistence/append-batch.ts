import { type Appended, TrailUnavailable } from '#core';

/** One record on its way: what trail_append needs of it, and whom to tell. */
export interface Waiting {
  readonly tenant: string;
  readonly epoch: string;
  readonly platformEpoch: string;
  /** RFC 3339, or undefined for no limit. */
  readonly validUntil: string | undefined;
  /** Encoded record. */
  readonly body: Uint8Array;
  /** Milliseconds of the monotonic clock after which it is not tried again. */
  readonly giveUpAt: number;
  readonly resolve: (appended: Appended) => void;
  readonly reject: (error: TrailUnavailable) => void;
}

/** Negative answers of trail_append (migration 0008). */
const STALE = -1n;
const EXPIRED = -2n;
const BUSY = -4n;

/** Parameters of trail_append: one binary blob plus lengths, and arrays in PostgreSQL's text form. */
export function batchParameters(batch: readonly Waiting[]): [Buffer, string, string, string, string, string] {
  return [
    Buffer.concat(batch.map(({ body }) => body)),
    list(batch.map(({ body }) => String(body.length))),
    list(batch.map(({ tenant }) => tenant)),
    list(batch.map(({ epoch }) => epoch)),
    list(batch.map(({ platformEpoch }) => platformEpoch)),
    list(batch.map(({ validUntil }) => validUntil ?? 'NULL')),
  ];
}

const list = (items: readonly string[]): string => `{${items.join(',')}}`;

/** Identifiers go into array literals unquoted, so anything that could end an item is refused. */
export const isPlain = (text: string): boolean => /^[a-z0-9-]{1,64}$/.test(text);

/** Tells every record its verdict, in order; answers those whose tenant's head was held. */
export function settle(batch: readonly Waiting[], answers: readonly bigint[]): Waiting[] {
  if (answers.length !== batch.length) {
    rejectAll(batch, 'outcome unknown');
    return [];
  }
  return batch.filter((waiting, index) => {
    const answer = answers[index]!;
    if (answer === BUSY) return true;
    if (answer >= 0n) waiting.resolve({ verdict: 'durable', seq: answer });
    else if (answer === STALE) waiting.resolve({ verdict: 'stale' });
    else if (answer === EXPIRED) waiting.resolve({ verdict: 'expired' });
    else waiting.reject(new TrailUnavailable('malformed record'));
    return false;
  });
}

export function rejectAll(batch: readonly Waiting[], reason: string): void {
  for (const { reject } of batch) reject(new TrailUnavailable(reason));
}
