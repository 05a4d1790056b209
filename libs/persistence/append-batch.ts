import { type Appended, type Disclosure, type LimitedGrant, type TrailEntry, TrailUnavailable } from '#core';

/** One record on its way: what trail_append needs of it, and whom to tell. */
export interface Waiting {
  readonly tenant: string;
  readonly epoch: string;
  readonly platformEpoch: string;
  /** RFC 3339, or undefined for no limit. */
  readonly validUntil: string | undefined;
  /** The grant that pays for it, if any. */
  readonly charge: LimitedGrant | undefined;
  /** Encoded record. */
  readonly body: Uint8Array;
  readonly disclosures: readonly Disclosure[];
  /** The same for records that must travel in one statement. */
  readonly request: object;
  /** Milliseconds of the monotonic clock after which it is not tried again. */
  readonly giveUpAt: number;
  readonly resolve: (appended: Appended) => void;
  readonly reject: (error: TrailUnavailable) => void;
}

/** Negative answers of trail_append (migration 0008). */
const STALE = -1n;
const EXPIRED = -2n;
const BUSY = -4n;
/** With no room left; each one below it is room for one more. */
const OVER_LIMIT = -5n;

/**
 * Parameters of trail_append: one binary blob plus lengths, and arrays in PostgreSQL's text form. Three of them: NULL if nobody is charged;
 * the last five: NULL if there is nothing personal that is not stored yet.
 */
export function batchParameters(batch: readonly Waiting[]): [Buffer, ...(string | null)[]] {
  const charged = batch.some(({ charge }) => charge !== undefined);
  const charges = (of: (charge: LimitedGrant) => string | number | undefined) =>
    charged ? list(batch.map(({ charge }) => (charge === undefined ? undefined : of(charge)))) : null;
  return [
    Buffer.concat(batch.map(({ body }) => body)),
    list(batch.map(({ body }) => body.length)),
    list(batch.map(({ tenant }) => tenant)),
    list(batch.map(({ epoch }) => epoch)),
    list(batch.map(({ platformEpoch }) => platformEpoch)),
    list(batch.map(({ validUntil }) => validUntil)),
    charges(({ ruleId }) => ruleId),
    charges(({ limits }) => limits.perMinute),
    charges(({ limits }) => limits.perDay),
    ...disclosureParameters(batch),
  ];
}

function disclosureParameters(batch: readonly Waiting[]): (string | null)[] {
  const disclosed = batch.flatMap(({ disclosures }, at) =>
    disclosures.filter(({ stored }) => !stored).map((one) => ({ ...one, place: at + 1 })),
  );
  const each = (of: (one: Disclosure & { readonly place: number }) => string | number) =>
    disclosed.length === 0 ? null : list(disclosed.map(of));
  return [
    each(({ place }) => place),
    each(({ name }) => name),
    each(({ about }) => about),
    each(({ text }) => text),
    each(({ shared }) => String(shared)),
  ];
}

/** Quoted: a rule may be called `null`, and would otherwise be no rule, without a limit. */
const list = (items: readonly (string | number | undefined)[]): string =>
  `{${items.map((item) => (item === undefined ? 'NULL' : `"${item}"`)).join(',')}}`;

/** What could end an item of an array literal is refused. */
const isPlain = (text: string): boolean => /^[a-z0-9-]{1,64}$/.test(text);

const LARGEST_INTEGER = 2 ** 31 - 1;
const isCount = (limit: number | undefined): boolean =>
  limit === undefined || (Number.isInteger(limit) && limit >= 0 && limit <= LARGEST_INTEGER);

/** Of base64url, and so is every name in it. */
const isPlainDisclosure = ({ about, text }: Disclosure): boolean =>
  /^[A-Za-z0-9_-]{1,128}$/.test(about) && /^[A-Za-z0-9_-]{1,4096}$/.test(text);

/** Nothing in it could fail, or change, a batch that it shares with others. */
export const isPlainEntry = ({ tenant, epochs, charge, disclosures = [] }: Omit<TrailEntry, 'body' | 'validUntil'>): boolean =>
  [tenant, epochs.tenant, epochs.platform, ...(charge ? [charge.ruleId] : [])].every(isPlain) &&
  isCount(charge?.limits.perMinute) &&
  isCount(charge?.limits.perDay) &&
  disclosures.every((one) => one.stored || isPlainDisclosure(one));

/** Tells every record its verdict, in order; answers those whose tenant's head was held. */
export function settle(batch: readonly Waiting[], answers: readonly bigint[]): Waiting[] {
  if (answers.length !== batch.length) {
    rejectAll(batch, 'outcome unknown');
    return [];
  }
  return batch.filter((waiting, index) => {
    const answer = answers[index]!;
    if (answer === BUSY) return true;
    if (answer >= 0n) durable(waiting, answer);
    else if (answer === STALE) waiting.resolve({ verdict: 'stale' });
    else if (answer === EXPIRED) waiting.resolve({ verdict: 'expired' });
    else if (answer <= OVER_LIMIT) waiting.resolve({ verdict: 'over-limit', room: Number(OVER_LIMIT - answer) });
    else waiting.reject(new TrailUnavailable('malformed record'));
    return false;
  });
}

function durable({ disclosures, resolve }: Waiting, seq: bigint): void {
  for (const disclosure of disclosures) disclosure.stored = true;
  resolve({ verdict: 'durable', seq });
}

export function rejectAll(batch: readonly Waiting[], reason: string): void {
  for (const { reject } of batch) reject(new TrailUnavailable(reason));
}
