import { BoundedMap } from '#core';

/** What a clock on the wall of a zone shows. */
export interface WallClock {
  /** `mon` to `sun`. */
  readonly day: string;
  /** Minutes since midnight, 0 to 1439. */
  readonly minute: number;
}
/** @returns undefined for an instant that no calendar has */
export type ZoneClock = (at: number) => WallClock | undefined;

export const MINUTE_MS = 60_000;
/** ECMA-262: the time range of a Date. */
const LAST_INSTANT = 8.64e15;
const MINUTES_KEPT = 64;
/** There are about 600 zones, each some 30 kB in ICU: all policies of a process share one clock a zone. */
const ZONES_KEPT = 1024;

const clocks = new BoundedMap<string, ZoneClock>(ZONES_KEPT);
const spellings = new BoundedMap<string, string>(ZONES_KEPT);

/**
 * The wall clock of a zone of the IANA database.
 * @throws RangeError if there is no such zone
 */
export function zoneClock(name: string): ZoneClock {
  const spelling = spellings.get(name);
  const known = spelling === undefined ? undefined : clocks.get(spelling);
  if (known !== undefined) return known;
  const format = new Intl.DateTimeFormat('en-US', {
    timeZone: name,
    weekday: 'short',
    hour: '2-digit',
    minute: '2-digit',
    hourCycle: 'h23',
  });
  // EUROPE/BERLIN is Europe/Berlin: a policy's spelling must not make a clock of its own.
  const zone = spellings.set(name, format.resolvedOptions().timeZone);
  return clocks.get(zone) ?? clocks.set(zone, clockOf(format));
}

/** Zones keep to full minutes of UTC (they have since 1972), so one look at the calendar serves a minute. */
function clockOf(format: Intl.DateTimeFormat): ZoneClock {
  const minutes = new BoundedMap<number, WallClock>(MINUTES_KEPT);
  return (at) => {
    if (!(Math.abs(at) <= LAST_INSTANT)) return undefined;
    const utcMinute = Math.floor(at / MINUTE_MS);
    return minutes.get(utcMinute) ?? minutes.set(utcMinute, read(format, utcMinute * MINUTE_MS));
  };
}

function read(format: Intl.DateTimeFormat, at: number): WallClock {
  const parts = new Map(format.formatToParts(at).map(({ type, value }) => [type, value]));
  const minute = Number(parts.get('hour')) * 60 + Number(parts.get('minute'));
  return { day: parts.get('weekday')?.toLowerCase() ?? '', minute };
}
