import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { canMeasureCpu, processTree } from './cpu-time.js';
import { type Bench, rounded } from './result.js';
import { startWorld } from './world.js';

const REST_SECONDS = 60;

/**
 * What the platform holds in memory a minute after it was last used: the proportional set sizes of all its processes, the starter's among
 * them, so that what they share counts once (proc_pid_smaps(5)).
 */
export const idleMemory: Bench = async ({ log }) => {
  if (!canMeasureCpu) throw new Error('Memory is measured by /proc, which this system has not.');
  const world = await startWorld();
  try {
    log(`resting for ${REST_SECONDS} s`);
    await sleep(REST_SECONDS * 1000);
    const { processes, postgres } = world.platform;
    const parts = [...processes, ['postgres', postgres] as const].map(
      ([name, { pid }]) => [name, pid === undefined ? [] : processTree(pid)] as const,
    );
    const megabytes = [...parts, ['starter', [process.pid]] as const].map(
      ([name, pids]) => [name, pids.reduce((sum, pid) => sum + proportionalMb(pid), 0)] as const,
    );
    const value = rounded(
      megabytes.reduce((sum, [, mb]) => sum + mb, 0),
      0,
    );
    return [
      { name: 'idle-memory', value, unit: 'MB', byProcess: Object.fromEntries(megabytes.map(([name, mb]) => [name, rounded(mb, 0)])) },
    ];
  } finally {
    await world.stop();
  }
};

/** 0 for one that has ended meanwhile. */
function proportionalMb(pid: number): number {
  try {
    return (Number(/^Pss:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))?.[1]) * 1024) / 1e6;
  } catch {
    return 0;
  }
}
