/** A clock that jumps may be set back: nothing ends before its wait was seen to be over twice, so long apart. */
export const SEEN_DUE_FOR_MS = 10_000;

/** Those that this process saw before, so long ago by its own monotonic clock. `nameOf`: with the time at which it is due. */
export function seenTwice<Found>(ms: number, nameOf: (found: Found) => string): (found: readonly Found[]) => readonly Found[] {
  let seen = new Map<string, number>();
  return (found) => {
    const now = performance.now();
    seen = new Map(found.map((due) => [nameOf(due), seen.get(nameOf(due)) ?? now]));
    return found.filter((due) => now - seen.get(nameOf(due))! >= ms);
  };
}
