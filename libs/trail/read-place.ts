import { MAX_CONTEXT_PAIRS, MAX_DISCLOSURES, type TrailRecord } from '#contract';
import { MAX_RECORD_BYTES } from './encode-record.js';
import { parseRecord, recordText } from './parse-record.js';

/** All that the place of a record in its log depends on. */
export type RecordPlacement = Pick<TrailRecord, 'seq' | 'recordedAt' | 'log'>;

/** Shapes of 8 KiB at most: a hostile log must not fill memory. */
const MAX_SHAPES = 4096;
/** Stands where a value was cut out. No record holds it unescaped; a text that does has no shape, so none passes itself off as one. */
const CUT = '\0';

const ID = '[0-7][0-9a-hjkmnp-tv-z]{25}';
const COUNT = '0|[1-9][0-9]{0,14}';
const CLOCK = 'T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]';
const DATE = '[0-9]{4}-[0-9]{2}-[0-9]{2}';

/** How every plane's records begin. Dates are no cut: which of them exist is for the schema to say. */
const HEAD = new RegExp(
  `^{"seq":(${COUNT}),"recordedAt":"(${DATE})(${CLOCK}\\.[0-9]{6}Z)","writer":"([a-z0-9_]+)","v":1,` +
    `"id":"rec_${ID}","log":"([a-z0-9_]+)","time":"(${DATE})${CLOCK}\\.[0-9]{3}Z","durationUs":(?:${COUNT}),`,
);

/** Where a value ends that begins at `at`; -1 where none does. Loops over characters: an expression for each value would take twice as long. */
type ValueEnd = (text: string, at: number) => number;

const ID_CHARACTERS = flags('0123456789abcdefghjkmnpqrstvwxyz');
const WORD_CHARACTERS = flags('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-');
const HEX_CHARACTERS = flags('0123456789abcdef');
const ID_LENGTH = 26;

const idEnd: ValueEnd = (text, at) => (text.charAt(at) <= '7' && runEnd(ID_CHARACTERS, text, at) >= at + ID_LENGTH ? at + ID_LENGTH : -1);

const wordEnd =
  (least: number, most: number): ValueEnd =>
  (text, at) => {
    const end = runEnd(WORD_CHARACTERS, text, at);
    return end - at >= least && end - at <= most && text.charAt(end) === '"' ? end : -1;
  };

/** After `[`: digests in quotes, with commas between; before `]`. */
const digestsEnd =
  (most: number, digestEnd: ValueEnd): ValueEnd =>
  (text, from) => {
    for (let at = from, count = 1; count <= most && text.charAt(at) === '"'; count++) {
      const end = digestEnd(text, at + 1);
      if (end < 0 || text.charAt(end + 1) === ']') return end < 0 ? -1 : end + 1;
      at = text.charAt(end + 1) === ',' ? end + 2 : text.length;
    }
    return -1;
  };

const traceEnd: ValueEnd = (text, at) => (runEnd(HEX_CHARACTERS, text, at) === at + 32 && text.charAt(at + 32) === '"' ? at + 32 : -1);

const CLOCK_END = new RegExp(`${CLOCK}\\.[0-9]{3}Z(?=")`, 'y');
const clockEnd: ValueEnd = (text, at) => {
  CLOCK_END.lastIndex = at;
  return CLOCK_END.test(text) ? CLOCK_END.lastIndex : -1;
};
const DATE_LENGTH = 10;

/** What differs from record to record, in its order: the text before it (of a time: with its date), and only values that the schema takes wherever that text stands. */
const VARYING: readonly { readonly before: string; readonly kept?: number; readonly endOf: ValueEnd }[] = [
  { before: '"key":{"id":"key_', endOf: idEnd },
  { before: '"versionId":"kver_', endOf: idEnd },
  { before: '"context":[', endOf: digestsEnd(MAX_CONTEXT_PAIRS, wordEnd(22, 43)) },
  { before: '"until":"', kept: DATE_LENGTH, endOf: clockEnd },
  { before: '"requestId":"', endOf: wordEnd(1, 64) },
  { before: '"traceId":"', endOf: traceEnd },
  { before: '"_sd":[', endOf: digestsEnd(MAX_DISCLOSURES, wordEnd(43, 43)) },
];

/**
 * Reads where records stand, as strictly as `parseRecord` but cheaply for those that come after others of their kind: two records that
 * differ only in values of which the schema takes any (a number, an id, a digest) are both records or both none. So the whole check is
 * made once a shape, and a record that has no known shape is checked in full.
 */
export class PlaceReader {
  readonly #shapes = new Set<string>();

  /** `spelt` spells no two byte sequences alike, and ASCII as itself: what has the shape of a record then is UTF-8 as that was. */
  constructor(private readonly spelt: (bytes: Uint8Array) => string = recordText) {}

  /** @throws RecordRefused for whatever `parseRecord` refuses */
  read(bytes: Uint8Array): RecordPlacement {
    const known = bytes.length > MAX_RECORD_BYTES ? undefined : shapeOf(this.spelt(bytes));
    if (known !== undefined && this.#shapes.has(known.shape)) return known.placement;
    const { seq, recordedAt, log } = parseRecord(bytes);
    if (known !== undefined) this.#remember(known.shape);
    return { seq, recordedAt, log };
  }

  #remember(shape: string): void {
    if (this.#shapes.size >= MAX_SHAPES) this.#shapes.clear();
    this.#shapes.add(shape);
  }
}

function shapeOf(text: string): { readonly shape: string; readonly placement: RecordPlacement } | undefined {
  const [head, seq, date = '', clock = '', writer = '', log = '', time = ''] = HEAD.exec(text) ?? [];
  if (head === undefined || text.includes(CUT)) return undefined;
  const shape = `${date}${time}${writer} ${log} ${withoutVarying(text, head.length)}`;
  // The log's id is part of the shape: where the shape is known, so is that the id is one.
  return { shape, placement: { seq: Number(seq), recordedAt: `${date}${clock}`, log } };
}

function withoutVarying(text: string, from: number): string {
  let shape = '';
  let at = from;
  for (const { before, kept = 0, endOf } of VARYING) {
    const found = text.indexOf(before, at);
    const value = found + before.length + kept;
    const end = found < 0 ? -1 : endOf(text, value);
    if (end < 0) continue;
    shape += text.slice(at, value) + CUT;
    at = end;
  }
  return shape + text.slice(at);
}

function flags(characters: string): Uint8Array {
  const table = new Uint8Array(128);
  for (const character of characters) table[character.charCodeAt(0)] = 1;
  return table;
}

/** Where the run of these characters ends. */
function runEnd(table: Uint8Array, text: string, from: number): number {
  let at = from;
  while (table[text.charCodeAt(at)] === 1) at++;
  return at;
}
