import type { RecordDetails } from '../record.js';

type Change = NonNullable<RecordDetails['change']>;
type Scalar = string | number | boolean | null;
type Fields = Readonly<Record<string, Scalar>>;

/** For a record: each field that is another now, as it was and as it is; null where there was none, or is none any more. */
export function changedFields(before: Fields, after: Fields): Change {
  const names = [...new Set([...Object.keys(before), ...Object.keys(after)])];
  return Object.fromEntries(
    names.flatMap((name): [string, { before: Scalar; after: Scalar }][] => {
      const [was, is] = [before[name] ?? null, after[name] ?? null];
      return was === is ? [] : [[name, { before: was, after: is }]];
    }),
  );
}
