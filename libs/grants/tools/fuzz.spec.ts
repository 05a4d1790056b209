import fc from 'fast-check';
import type { PolicyText } from '#contract';
import { policyTools } from './index.js';
import { documents } from './test/documents.js';

const seed = Number(process.env['KEYWARD_TEST_SEED'] ?? Date.now() % 2 ** 31);
const { diff, lint, read, sentences, toCsv } = policyTools;
const formats = fc.constantFrom('json', 'csv');

/** All that follows from a text that was read. */
function use(format: PolicyText['format'], text: string): void {
  const { document, findings } = read({ format, text }, new Set(['billing']));
  expect(document === undefined).toBe(findings.some(({ severity }) => severity === 'error'));
  expect(findings.length).toBeLessThanOrEqual(200);
  for (const { message, path } of findings) expect(`${message}${path}`).toMatch(/^[^\p{C}\p{Zl}\p{Zp}]*$/u);
  if (document === undefined) return;
  for (const sentence of [...sentences(document), ...diff(undefined, document).sentences])
    expect(sentence).toMatch(/^[^\p{C}\p{Zl}\p{Zp}]+$/u);
  expect(lint(document, undefined).some(({ severity }) => severity === 'error')).toBe(false);
  expect(read({ format: 'csv', text: toCsv(document) }, undefined).document).toEqual(document);
}

const HOSTILE = [
  '{',
  '}',
  '[',
  ']',
  '"',
  ',',
  ':',
  '\\',
  '(',
  ')',
  '\n',
  '\r',
  '#',
  '\0',
  '\ud800',
  '\u2028',
  '__proto__',
  '1e999',
  'p',
  'g',
  '*',
  ', ',
];
const mutated = (text: fc.Arbitrary<string>) =>
  fc
    .tuple(text, fc.array(fc.tuple(fc.nat(), fc.nat(5), fc.constantFrom(...HOSTILE)), { minLength: 1, maxLength: 4 }))
    .map(([valid, changes]) =>
      changes.reduce(
        (now, [at, gone, put]) => now.slice(0, at % (now.length + 1)) + put + now.slice((at % (now.length + 1)) + gone),
        valid,
      ),
    );

describe(`any text (seed ${seed})`, () => {
  it('is judged, never thrown at', () => {
    fc.assert(fc.property(formats, fc.string({ unit: 'binary', maxLength: 200 }), use), { seed, numRuns: 2_000 });
    fc.assert(
      fc.property(
        formats,
        fc.json().map((text) => `{"schema":"keyward.policy/1","grants":[${text}],"roles":${text}}`),
        use,
      ),
      { seed, numRuns: 1_000 },
    );
  });

  it('that was a policy before somebody damaged it is judged too', () => {
    fc.assert(
      fc.property(mutated(documents.map((one) => JSON.stringify(one, null, 1))), (text) => use('json', text)),
      { seed, numRuns: 1_500 },
    );
    fc.assert(
      fc.property(mutated(documents.map(toCsv)), (text) => use('csv', text)),
      { seed, numRuns: 1_500 },
    );
  });

  it('of JSON is JSON for both of us, or for neither', () => {
    fc.assert(
      fc.property(fc.oneof(mutated(documents.map((one) => JSON.stringify(one))), mutated(fc.json())), (text) => {
        const ours = read({ format: 'json', text }, undefined).findings.filter(({ code }) => code === 'G001');
        fc.pre(!/\[\s*\[\s*\[\s*\[\s*\[\s*\[/.test(text));
        expect(ours.length > 0).toBe(!isJson(text) && !text.startsWith('\ufeff'));
      }),
      { seed, numRuns: 1_500 },
    );
  });
});

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

describe('a text eight times as long', () => {
  const rule =
    '{"id":"a","subjects":["svc:x"],"objects":["*"],"operations":["@all"],"when":{"weekly":{"tz":"A","days":[]},"sourceCidr":["1"]}},';
  it.each<[string, PolicyText['format'], (length: number) => string]>([
    ['opening brackets', 'json', (length) => '['.repeat(length)],
    ['white space', 'json', (length) => ' \n'.repeat(length / 2)],
    ['a string that does not end', 'json', (length) => `"${'\\"'.repeat(length / 2 - 1)}`],
    ['unknown fields', 'json', (length) => `{${Array.from({ length: length / 10 }, (_, n) => `"${n}":1`).join()}}`],
    ['one field again and again', 'json', (length) => `{${'"a":1,'.repeat(length / 6 - 1)}"a":1}`],
    ['empty grants', 'json', (length) => `{"schema":"keyward.policy/1","grants":[${'0,'.repeat(length / 2 - 40)}0]}`],
    ['wrong rules', 'json', (length) => `{"schema":"keyward.policy/1","grants":[${rule.repeat(length / rule.length - 2)}0]}`],
    ['a long label', 'json', (length) => `{"schema":"keyward.policy/1","roles":{"${'a'.repeat(length - 300)}":[${'0,'.repeat(100)}0]}}`],
    ['short lines', 'csv', (length) => 'p\n'.repeat(length / 2)],
    ['comments', 'csv', (length) => '#\n'.repeat(length / 2)],
    ['commas', 'csv', (length) => ','.repeat(length)],
    ['quotes', 'csv', (length) => '"'.repeat(length)],
    ['spaces between objects', 'csv', (length) => `p, a, svc:x, t, *${' '.repeat(length - 60)}*, @all, {}, allow`],
    ['one rule in very many lines', 'csv', (length) => 'p, a, svc:x, t, *, @all, {}, allow\n'.repeat(length / 35)],
    ['very many objects', 'csv', (length) => `p, a, svc:x, t, ${'* '.repeat(length / 4)}, ${'@all '.repeat(length / 16)}, {}, allow`],
    ['members of one role', 'csv', (length) => 'g, svc:x, role:a, t\n'.repeat(length / 20)],
  ])('of %s takes no more than in proportion', (_what, format, text) => {
    expect(text(131_072).length).toBeLessThanOrEqual(131_072);
    expect(inProportion(text, (one) => void read({ format, text: one }, undefined))).toBe(true);
  });

  it('would be seen to take the square (positive control)', () => {
    const square = (text: string) => {
      let sum = 0;
      for (let from = 0; from < text.length; from += 16) for (let at = from; at < text.length; at++) sum += text.charCodeAt(at);
      // What nobody looks at would be optimised away.
      if (sum === 0) throw new Error('There are letters in it.');
    };
    expect(inProportion((length) => 'x'.repeat(length), square)).toBe(false);
  });

  /** Eight times in proportion, 64 times squared. A few milliseconds are noise. */
  function inProportion(text: (length: number) => string, work: (text: string) => void): boolean {
    const [short, long] = [text(16_384), text(131_072)];
    const fastest = (one: string) => Math.min(...[1, 2, 3].map(() => cpuOf(() => work(one))));
    return fastest(long) < 28 * Math.max(fastest(short), 2_000);
  }

  /** Microseconds of this process: others on the machine do not count. */
  function cpuOf(work: () => void): number {
    const before = process.cpuUsage();
    work();
    const { user, system } = process.cpuUsage(before);
    return user + system;
  }
});
