import { MAX_CONTEXT_PAIRS, type TrailRecord } from '#contract';
import { parseRecordText, recordText } from './parse-record.js';

/** All that the place of a record in its log depends on. */
export type RecordPlacement = Pick<TrailRecord, 'seq' | 'recordedAt' | 'log'>;

/** Shapes of 8 KiB at most: a hostile log must not fill memory. */
const MAX_SHAPES = 4096;
/** Stands where a value was cut out. No text that was decoded from UTF-8 can hold a lone surrogate, so none passes itself off as a shape. */
const CUT = '\ud800';

const ID = '[0-7][0-9a-hjkmnp-tv-z]{25}';
const COUNT = '0|[1-9][0-9]{0,14}';
const DIGEST = '"[A-Za-z0-9_-]{22,43}"';
const CLOCK = 'T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]';
const DATE = '[0-9]{4}-[0-9]{2}-[0-9]{2}';

/** How every plane's records begin. Dates are no cut: which of them exist is for the schema to say. */
const HEAD = new RegExp(
  `^{"seq":(${COUNT}),"recordedAt":"(${DATE})(${CLOCK}\\.[0-9]{6}Z)","writer":"([a-z0-9_]+)","v":1,` +
    `"id":"rec_${ID}","log":"([a-z0-9_]+)","time":"(${DATE})${CLOCK}\\.[0-9]{3}Z","durationUs":(?:${COUNT}),`,
);

/** What differs from record to record, in its order: the text before it, and only values that the schema takes wherever that text stands. */
const VARYING = [
  ['"key":{"id":"key_', ID],
  ['"versionId":"kver_', ID],
  ['"context":[', `(?:${DIGEST},){0,${MAX_CONTEXT_PAIRS - 1}}${DIGEST}(?=])`],
  ['"requestId":"', '[A-Za-z0-9_-]{1,64}(?=")'],
].map(([before = '', value = '']) => ({ before, value: new RegExp(value, 'y') }));

/**
 * Reads where records stand, as strictly as `parseRecord` but cheaply for those that come after others of their kind: two records that
 * differ only in values of which the schema takes any (a number, an id, a digest) are both records or both none. So the whole check is
 * made once a shape, and a record that has no known shape is checked in full.
 */
export class PlaceReader {
  readonly #shapes = new Set<string>();

  /** @throws RecordRefused for whatever `parseRecord` refuses */
  read(bytes: Uint8Array): RecordPlacement {
    const text = recordText(bytes);
    const known = shapeOf(text);
    if (known !== undefined && this.#shapes.has(known.shape)) return known.placement;
    const { seq, recordedAt, log } = parseRecordText(text);
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
  if (head === undefined) return undefined;
  const shape = `${date}${time}${writer} ${log} ${withoutVarying(text, head.length)}`;
  // The log's id is part of the shape: where the shape is known, so is that the id is one.
  return { shape, placement: { seq: Number(seq), recordedAt: `${date}${clock}`, log } };
}

function withoutVarying(text: string, from: number): string {
  let shape = '';
  let at = from;
  for (const { before, value } of VARYING) {
    const found = text.indexOf(before, at);
    if (found < 0) continue;
    value.lastIndex = found + before.length;
    if (!value.test(text)) continue;
    shape += text.slice(at, found + before.length) + CUT;
    at = value.lastIndex;
  }
  return shape + text.slice(at);
}
