import { digestOfDisclosure, disclosuresIn, readDisclosure } from './disclosure.js';
import { fromUtf8, utf8 } from './octets.js';
import { entryAt } from './test/sample-log.js';

/** base64url of the text, as Node spells it. */
const encoded = (text: string) => Buffer.from(text).toString('base64url');
const SALT = '_26bc4LT-ac6q2KI6cBW5es';

describe('a disclosure', () => {
  it('has the digest of the example in RFC 9901 §4.2.3', () => {
    const text = 'WyJfMjZiYzRMVC1hYzZxMktJNmNCVzVlcyIsICJmYW1pbHlfbmFtZSIsICJNw7ZiaXVzIl0';
    expect(digestOfDisclosure(text)).toBe('X9yH0Ajrdm1Oij4tWso9UzzKJvPoDxwmuEcO3XAdRC0');
  });

  it('is read with its name and value, of any length of its encoding', () => {
    for (const value of ['', 'a', 'ab', 'abc', 'Möbius 🗝']) {
      const text = encoded(JSON.stringify([SALT, 'userName', value]));
      expect(readDisclosure(text)).toEqual({ digest: digestOfDisclosure(text), disclosure: text, name: 'userName', value });
    }
  });

  it.each([
    ['nothing', ''],
    ['no base64url', 'WyJ+'],
    ['stray bits', `${encoded('["')}_`],
    ['no JSON', encoded('[')],
    ['no array', encoded('{}')],
    ['a salt that can be guessed', encoded(JSON.stringify(['abc', 'userName', 'x']))],
    ['another name', encoded(JSON.stringify([SALT, 'family_name', 'x']))],
    ['two fields', encoded(JSON.stringify([SALT, 'userName']))],
    ['a value that is no text', encoded(JSON.stringify([SALT, 'userName', 7]))],
    ['a value that forges a line', encoded(JSON.stringify([SALT, 'userName', 'a\nb']))],
    ['a value that turns words around', encoded(JSON.stringify([SALT, 'userName', 'a\u202eb']))],
  ])('is none with %s', (_, text) => {
    expect(() => readDisclosure(text)).toThrow(RangeError);
  });

  it('is found in the record that carries it, and in no text that only says so', () => {
    const digests = ['A'.repeat(43), 'B'.repeat(43)];
    const carrying = fromUtf8(entryAt(0, { body: { _sd: digests, _sd_alg: 'sha-256' } }).bytes);
    expect(disclosuresIn(carrying)).toEqual(digests);
    const saying = entryAt(0, { body: { change: { note: `"_sd":["${'C'.repeat(43)}"]` } } });
    expect(disclosuresIn(fromUtf8(saying.bytes))).toEqual([]);
    expect(disclosuresIn(fromUtf8(utf8('{"_sd":[]}')))).toEqual([]);
  });
});
