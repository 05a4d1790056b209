import type { Conditions } from '#contract';
import type { Condition } from './truth.js';
import { zoneClock } from './zone-clock.js';

/** From `from` until just before `to`, by the zone's wall clock: on a day that changes to summer time a window may be shorter, or empty. */
export function inWeek({ tz, days, from, to }: NonNullable<Conditions['weekly']>): Condition {
  const clock = zoneClock(tz);
  const open = new Set<string>(days);
  const [start, end] = [minutesOf(from), minutesOf(to)];
  return ({ at }) => {
    const local = clock(at);
    return local === undefined ? 'unknown' : open.has(local.day) && local.minute >= start && local.minute < end;
  };
}

function minutesOf(time: string): number {
  const [hours, minutes] = time.split(':');
  return Number(hours) * 60 + Number(minutes);
}
