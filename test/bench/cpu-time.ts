import { existsSync, readdirSync, readFileSync } from 'node:fs';

/** USER_HZ: the unit of /proc, 100 on every Linux that Node runs on. */
const US_PER_TICK = 10_000;

export const canMeasureCpu = existsSync('/proc/self/stat');

interface Stat {
  readonly parent: number;
  readonly ticks: number;
}

/**
 * User and system time in µs of each process with all its descendants, dead ones that were waited for included.
 * Two readings of the same names subtract to what was spent between them.
 */
export function cpuTimes(roots: ReadonlyMap<string, number>): Map<string, number> {
  const stats = allStats();
  return new Map([...roots].map(([name, pid]) => [name, ticksOfTree(pid, stats) * US_PER_TICK]));
}

/** A process and all its descendants, as they are now. */
export function processTree(root: number): number[] {
  const stats = [...allStats()];
  const below = (pid: number): number[] => [pid, ...stats.filter(([, { parent }]) => parent === pid).flatMap(([child]) => below(child))];
  return below(root);
}

function ticksOfTree(pid: number, stats: ReadonlyMap<number, Stat>): number {
  const children = [...stats].filter(([, { parent }]) => parent === pid);
  return children.reduce((sum, [child]) => sum + ticksOfTree(child, stats), stats.get(pid)?.ticks ?? 0);
}

function allStats(): Map<number, Stat> {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  return new Map(pids.flatMap((name) => entryOf(Number(name))));
}

/** proc_pid_stat(5): after the name in parentheses come state, ppid, … and as 14th to 17th field utime, stime, cutime, cstime. */
function entryOf(pid: number): [number, Stat][] {
  try {
    const line = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = line
      .slice(line.lastIndexOf(')') + 2)
      .split(' ')
      .map(Number);
    const ticks = fields.slice(11, 15).reduce((sum, value) => sum + value, 0);
    return [[pid, { parent: fields[1] ?? 0, ticks }]];
  } catch {
    return []; // it has ended meanwhile; its parent has its time
  }
}
