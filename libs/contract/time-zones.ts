/** There are about 600; upper and lower case make more of them. Asking ICU costs as much as the rest of a rule. */
const ZONES_KEPT = 1024;
const known = new Set<string>();

/** A zone of the IANA database, by its exact name; offsets such as +01:00 are none, because they know no summer time. */
export function isTimeZone(name: string): boolean {
  if (known.has(name)) return true;
  if (!/^[A-Z]/.test(name)) return false;
  try {
    if (new Intl.DateTimeFormat('en', { timeZone: name }).resolvedOptions().timeZone === '') return false;
  } catch {
    return false;
  }
  if (known.size < ZONES_KEPT) known.add(name);
  return true;
}
