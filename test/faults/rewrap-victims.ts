import type { ChildProcess } from 'node:child_process';
import type { Platform } from '#runtime';
import { childrenOf } from './children-of.js';

/** In this order. `sdk`: the service that carries the re-wrap out; `hsm`: the custodian's child, which holds it. */
export const VICTIMS = ['sdk', 'data-plane-1', 'hsm', 'sdk', 'key-plane', 'custodian', 'sdk', 'worker', 'data-plane-1', 'sdk'] as const;
export type Victim = (typeof VICTIMS)[number];

export function kill9(victim: Victim, { processes }: Platform, sdk: ChildProcess): void {
  if (victim === 'sdk') sdk.kill('SIGKILL');
  else if (victim === 'hsm') for (const pid of childrenOf(processes.get('custodian')?.pid)) process.kill(pid, 'SIGKILL');
  else processes.get(victim)?.kill('SIGKILL');
}
