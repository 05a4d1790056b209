import fc from 'fast-check';
import { z } from 'zod';
import { MAX_CONTEXT_PAIRS, type RecordBody, recordBody } from '#contract';
import { encodeRecord, MAX_BODY_BYTES, MAX_RECORD_BYTES, parseRecord, spliceRecord } from './index.js';
import { fromUtf8, utf8 } from './octets.js';
import { entryAt } from './test/sample-log.js';
import { cases, vectors } from './test/vectors.js';

const body = vectors('record-body.json', z.custom<RecordBody>());
const position = { seq: 12n, recordedAt: '2026-03-01T12:00:00.000001Z', writer: 'keyward_data_plane' };
const refused = vectors('unencodable-records.json', z.array(z.object({ desc: z.string(), patch: z.looseObject({}), wantErr: z.string() })));
const stored = vectors('records.json', cases(z.looseObject({})));

describe('encoding a record', () => {
  it.each(refused)('refuses $desc', ({ patch, wantErr }) => {
    expect(() => encodeRecord({ ...body, ...patch })).toThrow(expect.objectContaining({ name: 'RecordUnencodable', code: wantErr }));
  });

  it('keeps quotes, backslashes and every script', () => {
    const reason = 'C:\\new "quoted" \\u0000 ünïcode 日本 🗝';
    const bytes = encodeRecord({ ...body, outcome: 'refused', error: { code: 'not-granted', reason } });
    expect(parseRecord(spliceRecord(bytes, position)).error?.reason).toBe(reason);
  });

  it('writes what the strict reader takes, whatever the strings', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: 'binary', maxLength: 128 }),
        fc.string({ unit: 'binary-ascii', maxLength: 60 }),
        (ruleId, principal) => {
          const named = { ...body, actor: { ...body.actor, principal }, authz: { decision: 'deny' as const, ruleId } };
          const fits = recordBody.safeParse(named).success;
          const encode = () => encodeRecord(named);
          if (!fits) return expect(encode).toThrow('cannot be encoded');
          expect(parseRecord(spliceRecord(encode(), position))).toEqual({
            seq: 12,
            recordedAt: position.recordedAt,
            writer: position.writer,
            ...named,
          });
        },
      ),
      { numRuns: 2000 },
    );
  });

  it('leaves room for the longest splice', () => {
    const longest = spliceRecord(new Uint8Array(MAX_BODY_BYTES), { ...position, seq: 2n ** 63n - 1n, writer: 'w'.repeat(63) });
    expect(longest.length).toBeLessThanOrEqual(MAX_RECORD_BYTES);
  });

  it('has room for the largest context', () => {
    const context = Array.from({ length: MAX_CONTEXT_PAIRS }, () => 'A'.repeat(22));
    expect(() => encodeRecord({ ...body, crypto: { context } })).not.toThrow();
  });
});

describe('reading a stored record', () => {
  it.each(stored)('$desc', ({ input, want, wantErr }) => {
    if (want !== undefined) return expect(parseRecord(utf8(input))).toMatchObject(want);
    expect(() => parseRecord(utf8(input))).toThrow(expect.objectContaining({ name: 'RecordRefused', code: wantErr }));
  });

  it('refuses bytes that are not UTF-8', () => {
    const bytes = entryAt(0).bytes.slice();
    bytes[20] = 0xff;
    expect(() => parseRecord(bytes)).toThrow(expect.objectContaining({ code: 'not-utf8' }));
  });

  it('refuses nesting without end', () => {
    expect(() => parseRecord(utf8('['.repeat(4096) + ']'.repeat(4096)))).toThrow(expect.objectContaining({ code: 'not-schema' }));
  });

  it('takes exactly the bytes that were spliced', () => {
    const bytes = entryAt(3).bytes;
    expect(fromUtf8(bytes)).toMatch(/^\{"seq":3,"recordedAt":"2026-03-01T12:00:00\.000003Z","writer":"keyward_data_plane","v":1,/);
    expect(parseRecord(bytes)).toMatchObject({ seq: 3, v: 1, op: 'Decrypt' });
  });
});
