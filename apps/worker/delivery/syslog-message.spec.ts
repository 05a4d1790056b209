import fc from 'fast-check';
import { OPERATION_NAMES, SYSTEM_OPERATIONS } from '#contract';
import { ascii, escaped, syslogMessage } from './syslog-message.js';

const PLACE = { host: 'keyward.test', log: 'log_01890a5d1xv2e4k7m3q8s0t9wa', seq: 12, leafHash: 'ab'.repeat(32) };
const record = (more: object = {}) =>
  JSON.stringify({ seq: 12, recordedAt: '2026-03-01T12:00:00.000001Z', op: 'Decrypt', outcome: 'succeeded', ...more });

/** RFC 5424 §6, as a grammar of its own: whatever does not fit it is no message. */
const MESSAGE =
  /^<(\d{1,3})>1 (\S+) ([!-~]{1,255}) ([!-~]{1,48}) ([!-~]{1,128}) ([!-~]{1,32}) (\[[!#-<>-\\^-~]{1,32}( [!#-<>-\\^-~]{1,32}="([^"\\\]]|\\["\\\]])*")*\]) ([\x20-\x7e]*)$/;

const parse = (framed: string) => {
  const [, length, text = ''] = /^(\d+) ([\s\S]*)$/.exec(framed) ?? [];
  expect(Number(length)).toBe(Buffer.byteLength(text));
  return MESSAGE.exec(text);
};

describe('a record as a syslog message', () => {
  it.each([
    ['succeeded', 110],
    ['refused', 108],
    ['failed', 107],
  ])('tells in its priority that it %s', (outcome, priority) => {
    expect(syslogMessage(PLACE, record({ outcome }), record({ outcome }))).toContain(` <${priority}>1 `.slice(1));
  });

  it('has the form of RFC 5424 behind its length', () => {
    const [, priority, time, host, app, process, id, structure, , , message] = parse(syslogMessage(PLACE, record(), record()))!;
    expect([priority, time, host, app, process, id]).toEqual([
      '110',
      '2026-03-01T12:00:00.000001Z',
      'keyward.test',
      'keyward',
      '-',
      'Decrypt',
    ]);
    expect(structure).toBe(`[keyward@32473 log="${PLACE.log}" seq="12" leaf="${PLACE.leafHash}"]`);
    expect(message).toBe(record());
  });

  it.each([...OPERATION_NAMES, ...SYSTEM_OPERATIONS])('fits the form for %s', (op) => {
    expect(parse(syslogMessage(PLACE, record({ op }), record({ op })))?.[6]).toBe(op);
  });

  it('keeps its form and its meaning whatever text is in the record', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 300 }), fc.string({ unit: 'binary-ascii', maxLength: 40 }), (text, op) => {
        const event = JSON.stringify({ text, op });
        const parsed = parse(syslogMessage(PLACE, record({ op, outcome: text, recordedAt: text }), event));
        expect(JSON.parse(parsed?.[10] ?? '')).toEqual({ text, op });
        expect(parsed?.[6]).toBe('-');
      }),
      { numRuns: 2000 },
    );
  });

  it('can be turned back into the exact text of the record', () => {
    const text = record({ plaintextSize: '≤64', reason: 'ünï 日本 🗝 "\\' });
    expect(JSON.stringify(JSON.parse(ascii(text)))).toBe(text);
  });

  it('escapes what ends a parameter, and nothing else', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary-ascii' }), (value) => {
        expect(escaped(value).replaceAll(/\\(["\\\]])/g, '$1')).toBe(value);
        expect(escaped(value)).toMatch(/^([^"\\\]]|\\["\\\]])*$/);
      }),
    );
  });
});
