import fc from 'fast-check';
import { z } from 'zod';
import { MAX_CONTEXT_PAIRS, type RecordBody } from '#contract';
import { parseRecord, RecordRefused } from './index.js';
import { fromUtf8, utf8 } from './octets.js';
import { PlaceReader } from './read-place.js';
import { entryAt } from './test/sample-log.js';
import { cases, vectors } from './test/vectors.js';

const stored = vectors('records.json', cases(z.looseObject({})));

type Read = (bytes: Uint8Array) => { readonly seq: number; readonly recordedAt: string; readonly log: string };
const verdict = (read: Read, bytes: Uint8Array): unknown => {
  try {
    const { seq, recordedAt, log } = read(bytes);
    return { seq, recordedAt, log };
  } catch (error) {
    if (!(error instanceof RecordRefused)) throw error;
    return error.message;
  }
};

/** Records of several kinds, as planes write them. */
const BODIES: readonly Partial<RecordBody>[] = [
  {},
  { key: { id: 'key_01890a5d1xv2e4k7m3q8s0t9wa' }, crypto: { context: ['A'.repeat(22), 'B'.repeat(43)] } },
  { change: { requestId: 'as a change', context: 'x', versionId: 'kver_', key: null } },
  { outcome: 'refused', error: { code: 'not-granted', reason: '"requestId":"x" and \\ more' } },
  { request: { requestId: 'r', traceId: '0af7651916cd43dd8448eb211c80319c' }, _sd: ['A'.repeat(43), 'B'.repeat(43)], _sd_alg: 'sha-256' },
  { crypto: { lease: { until: '2026-03-01T12:05:00.000Z' } } },
];
const GENUINE = BODIES.map((body, seq) => fromUtf8(entryAt(seq, { body }).bytes));
const PIECES = [
  '"',
  '\\',
  '\0',
  '\ud7ff',
  ' ',
  '}',
  ']',
  '0',
  '1',
  'é',
  ',',
  '"requestId":"x",',
  '"seq":7,',
  '"context":[],',
  '"_sd":[],',
  '"traceId":"x",',
  '"until":"2026-03-01T12:05:00.000Z",',
  '"":1,',
  'T24:00:00',
  'é',
];

/** As Node spells it: one character a byte. */
const latin1 = (bytes: Uint8Array): string => Array.from(bytes, (byte) => String.fromCharCode(byte)).join('');

/** A reader that knows the shape of every genuine record. */
const warmed = (reader: PlaceReader): PlaceReader => {
  for (const text of GENUINE) reader.read(utf8(text));
  return reader;
};

describe.each([
  ['as UTF-8', undefined],
  ['byte by byte', latin1],
])('reading where a record stands, spelt %s', (_, spelt) => {
  const warm = () => warmed(new PlaceReader(spelt));

  it.each(stored)('judges as the strict reader, after others of its kind too: $desc', ({ input }) => {
    const reader = warm();
    for (let time = 0; time < 2; time++)
      expect(verdict((bytes) => reader.read(bytes), utf8(input))).toEqual(verdict(parseRecord, utf8(input)));
  });

  it('judges as the strict reader, whatever was cut out of a genuine record and put into it', () => {
    const reader = warm();
    const edit = fc.tuple(fc.nat(700), fc.nat(30), fc.oneof(fc.constantFrom('', ...PIECES), fc.string({ maxLength: 4 })));
    fc.assert(
      fc.property(fc.constantFrom(...GENUINE), fc.array(edit, { minLength: 1, maxLength: 3 }), (text, edits) => {
        const changed = edits.reduce((now, [at, cut, put]) => now.slice(0, at) + put + now.slice(at + (cut > 15 ? 0 : cut)), text);
        const bytes = utf8(changed);
        expect(verdict((read) => reader.read(read), bytes)).toEqual(verdict(parseRecord, bytes));
      }),
      { numRuns: 10_000 },
    );
  });

  it('judges as the strict reader, whatever values stand where they vary', () => {
    const reader = warm();
    const digits = fc.constantFrom('0', '00', '07', '-1', '1.0', '1e3', '999999999999999', '9007199254740993', '');
    const id = fc.constantFrom(
      '01890a5d1xv2e4k7m3q8s0t9wa',
      '81890a5d1xv2e4k7m3q8s0t9wa',
      '01890a5d1xv2e4k7m3q8s0t9w',
      '01890a5d1xv2e4k7m3q8s0t9wal',
      '',
    );
    const clock = fc.constantFrom(
      '12:00:00.000001Z',
      '23:59:59.999999Z',
      '24:00:00.000000Z',
      '12:00:60.000000Z',
      '12:00:00.000Z',
      '12:00:00Z',
      '12:00:00.000000+00:00',
    );
    const day = fc.constantFrom('2026-03-01', '2026-02-29', '2024-02-29', '2026-13-01', '2026-00-10', '0000-01-01');
    const request = fc.constantFrom('', 'a', 'a'.repeat(64), 'a'.repeat(65), 'a.b', 'a\\"b');
    const digests = fc.array(fc.constantFrom('A'.repeat(21), 'A'.repeat(22), 'B'.repeat(43), 'B'.repeat(44), 'A'.repeat(21) + '.'), {
      maxLength: 3,
    });
    fc.assert(
      fc.property(
        fc.tuple(digits, digits, day, clock),
        fc.tuple(id, id, request, digests),
        ([seq, took, date, time], [rec, key, requestId, context]) => {
          const changed = GENUINE[1]!
            .replace(/"seq":\d+/, `"seq":${seq}`)
            .replace(/"durationUs":\d+/, `"durationUs":${took}`)
            .replace(/"recordedAt":"[^"]*"/, `"recordedAt":"${date}T${time}"`)
            .replace(/rec_\w+/, `rec_${rec}`)
            .replace(/"key_\w+/, `"key_${key}`)
            .replace(/"requestId":"[^"]*"/, `"requestId":"${requestId}"`)
            .replace(/"context":\[[^\]]*\]/, `"context":${JSON.stringify(context)}`);
          const bytes = utf8(changed);
          expect(verdict((read) => reader.read(read), bytes)).toEqual(verdict(parseRecord, bytes));
        },
      ),
      { numRuns: 10_000 },
    );
  });

  it('refuses a digest more than a context has pairs, after one of just as many', () => {
    const reader = new PlaceReader(spelt);
    const of = (count: number) =>
      utf8(
        GENUINE[1]!.replace(
          /"context":\[[^\]]*\]/,
          `"context":[${Array(count)
            .fill(`"${'A'.repeat(22)}"`)
            .join()}]`,
        ),
      );
    expect(reader.read(of(MAX_CONTEXT_PAIRS))).toMatchObject({ seq: 1 });
    expect(() => reader.read(of(MAX_CONTEXT_PAIRS + 1))).toThrow(expect.objectContaining({ code: 'not-schema' }));
  });

  it('refuses a record that is longer than one may be, after one of its kind', () => {
    const of = (length: number) =>
      utf8(
        GENUINE[1]!.replace(
          /"context":\[[^\]]*\]/,
          `"context":[${Array(MAX_CONTEXT_PAIRS)
            .fill(`"${'A'.repeat(length)}"`)
            .join()}]`,
        ),
      );
    const reader = new PlaceReader(spelt);
    expect(reader.read(of(22))).toMatchObject({ seq: 1 });
    expect(() => reader.read(of(43))).toThrow(expect.objectContaining({ code: 'too-long' }));
  });

  it('refuses what is not UTF-8, after a record that is and has as many bytes', () => {
    const genuine = utf8(GENUINE[3]!.replace(' more', ' mé'));
    const reader = new PlaceReader(spelt);
    expect(reader.read(genuine)).toMatchObject({ seq: 3 });
    const torn = Uint8Array.from(genuine, (byte) => (byte === 0xc3 ? 0xff : byte));
    expect(() => reader.read(torn)).toThrow(expect.objectContaining({ code: 'not-utf8' }));
  });

  it('goes on when more kinds of records come than it keeps in mind', () => {
    const reader = new PlaceReader(spelt);
    for (let seq = 0; seq < 9000; seq++)
      expect(reader.read(entryAt(seq, { recordedAt: '2026-03-01T12:00:00.000000Z', body: { count: seq + 1 } }).bytes)).toMatchObject({
        seq,
      });
  });
});
