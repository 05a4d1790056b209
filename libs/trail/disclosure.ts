import { saltedField, type ShownDisclosure } from '#contract';
import { base64, fromBase64, fromUtf8, utf8 } from './octets.js';
import { type Sha256, sha256 as ours } from './sha256.js';

/**
 * Reads one disclosure: base64url of the JSON array of salt, name and value, each a string. Its digest is that of the text (RFC 9901
 * §4.2.3), so a record whose `_sd` has it vouches for name and value. @throws RangeError for anything else
 */
export function readDisclosure(text: string, sha256: Sha256 = ours): ShownDisclosure {
  const parsed = saltedField.safeParse(jsonIn(text));
  if (!parsed.success) throw new RangeError('not a disclosure');
  const [, name, value] = parsed.data;
  return { digest: digestOfDisclosure(text, sha256), disclosure: text, name, value };
}

export type Disclosures = ReadonlyMap<string, Pick<ShownDisclosure, 'name' | 'value'>>;
/** By the digests that vouch for them, as they are recomputed here. @throws as readDisclosure */
export const disclosuresByDigest = (texts: readonly string[]): Disclosures =>
  new Map(texts.map((text) => readDisclosure(text)).map(({ digest, name, value }) => [digest, { name, value }]));

/** base64url of the SHA-256 of a disclosure as it is spelt. */
export const digestOfDisclosure = (text: string, sha256: Sha256 = ours): string => base64url(sha256(utf8(text)));

/** The digests that a record carries, from its text; of a record that is none: none. */
export function disclosuresIn(record: string): readonly string[] {
  const [, list = ''] = /"_sd":\[((?:"[A-Za-z0-9_-]{43}",?)+)\]/.exec(record) ?? [];
  return list.match(/[A-Za-z0-9_-]{43}/g) ?? [];
}

const base64url = (bytes: Uint8Array): string => base64(bytes).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');

function jsonIn(text: string): unknown {
  try {
    const padded = text.replaceAll('-', '+').replaceAll('_', '/') + '==='.slice((text.length + 3) % 4);
    return JSON.parse(fromUtf8(fromBase64(padded)));
  } catch (cause) {
    throw new RangeError('not a disclosure', { cause });
  }
}
