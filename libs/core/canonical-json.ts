/**
 * One text for equal values (RFC 8785 for what JSON can carry): members sorted by the UTF-16 code units of their names at every level,
 * no white space; absent members and `undefined` are the same. Written out, because an object with re-ordered members would still
 * print integer-like names first.
 */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const members = Object.entries(value).filter(([, member]) => member !== undefined);
  members.sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${members.map(([name, member]) => `${JSON.stringify(name)}:${canonicalJson(member)}`).join(',')}}`;
}
