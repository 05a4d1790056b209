import { MAX_TAGS } from '#contract';
import { InvalidRequest } from '../errors.js';
import type { RecordDetails } from '../record.js';

type Tags = Readonly<Record<string, string>>;

/** Room for changes in a record, which has 8000 bytes in all; only backslashes, doubled in JSON, can need more. */
const MAX_TOLD_BYTES = 6000;

/** @throws InvalidRequest for more than 20 in all */
export function taggedWith(before: Tags, added: Tags): Tags {
  const after = { ...before, ...added };
  if (Object.keys(after).length > MAX_TAGS) throw refused(`a key has at most ${MAX_TAGS} tags`);
  return after;
}

/** Names that are not there are left alone: untagging may be repeated. */
export const untagged = (before: Tags, names: readonly string[]): Tags =>
  Object.fromEntries(Object.entries(before).filter(([name]) => !names.includes(name)));

/** Every tag that came, changed or went, for the record: grants mean keys by them. @throws InvalidRequest for more than a record holds */
export function tagChange(before: Tags, after: Tags): NonNullable<RecordDetails['change']> {
  const came = Object.entries(after).filter(([name, value]) => before[name] !== value);
  const went = Object.keys(before).filter((name) => !Object.hasOwn(after, name));
  const told = {
    tags: Object.keys(after).length,
    ...numbered(
      'tag',
      came.map(([name, value]) => `${name}=${value}`),
    ),
    ...numbered('untag', went),
  };
  if (Buffer.byteLength(JSON.stringify(told)) > MAX_TOLD_BYTES) throw refused('these are too long for one record: change fewer at a time');
  return told;
}

const numbered = (field: string, texts: readonly string[]): Record<string, string> =>
  Object.fromEntries(texts.map((text, index): [string, string] => [`${field}${index + 1}`, text]));

const refused = (message: string): InvalidRequest => new InvalidRequest([{ field: 'tags', message }]);
