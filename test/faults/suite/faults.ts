import { childrenOf } from '../children-of.js';
import type { FaultWorld } from './fault-world.js';
import { TROUBLES } from './tcp-fault-proxy.js';

/** Ends what was begun; what cannot be undone ends by itself. */
type Heal = () => Promise<void> | void;

export interface Fault {
  /** Whom it may hit. */
  readonly victims: readonly string[];
  /** How often it is drawn, beside the others. */
  readonly weight: number;
  /** Its own further choices, by lot. */
  begin(world: FaultWorld, victim: string, random: () => number): Promise<Heal> | Heal;
  /** Why it cannot be had here. */
  isMissing?(world: FaultWorld): boolean;
}

const PLANES = ['key-plane', 'data-plane-1', 'data-plane-2'];
const CUSTODIANS = ['custodian', 'custodian-2'];
const PROCESSES = [...PLANES, 'auditor', 'worker', ...CUSTODIANS];
const NOTHING: Heal = () => undefined;
/** Of a planes's clock, in seconds: some that lie within what credentials and deadlines bear, and some that do not. */
const STEPS = [-86_400, -120, -6, 6, 120, 86_400];
const HSM_FAULTS = [
  [['C_UnwrapKey', 'C_EncryptInit'], { fail: 'DEVICE_ERROR' }],
  [['C_UnwrapKey', 'C_EncryptInit', 'C_FindObjectsInit'], { fail: 'SESSION_HANDLE_INVALID' }],
  [['C_Encrypt', 'C_WrapKey'], { late: 'GENERAL_ERROR' }],
  [['C_EncryptInit'], { sleepMs: 300 }],
] as const;

/** Everything that can go wrong. What a fault is, and what must hold meanwhile, is told in docs/testing.md. */
export const FAULTS: Readonly<Record<string, Fault>> = {
  'kill -9': {
    ...{ victims: [...PROCESSES, ...CUSTODIANS.map((name) => `${name}'s child`), 'postgres'], weight: 5 },
    begin: (world, victim) => {
      const parent = victim.replace("'s child", '');
      const { pid } = processOf(world, parent);
      signal(victim === parent ? (pid === undefined ? [] : [pid]) : childrenOf(pid), 'SIGKILL');
      return NOTHING;
    },
  },
  'kill -9 of all of PostgreSQL': {
    ...{ victims: ['postgres'], weight: 1 },
    begin: (world) => {
      const { pid } = processOf(world, 'postgres');
      if (pid !== undefined) signal([...childrenOf(pid), pid], 'SIGKILL');
      return NOTHING;
    },
  },
  'stopped (SIGSTOP, SIGCONT)': {
    ...{ victims: [...PROCESSES, 'postgres'], weight: 4 },
    begin: (world, victim) => {
      const { pid } = processOf(world, victim);
      const pids = pid === undefined ? [] : [pid, ...childrenOf(pid)];
      signal(pids, 'SIGSTOP');
      return () => signal(pids, 'SIGCONT');
    },
  },
  ...Object.fromEntries(
    TROUBLES.map((trouble): [string, Fault] => [
      `connections to PostgreSQL ${trouble}`,
      {
        ...{ victims: [...PLANES, 'auditor', 'worker'], weight: 1 },
        begin: (world, victim) => {
          const proxy = world.proxies.get(victim)!;
          proxy.begin(trouble);
          return () => proxy.heal();
        },
      },
    ]),
  ),
  'Redis emptied': {
    ...{ victims: ['redis'], weight: 1 },
    isMissing: ({ redis }) => redis === undefined,
    begin: async ({ redis }) => {
      await redis?.flush();
      return NOTHING;
    },
  },
  'Redis away': {
    ...{ victims: ['redis'], weight: 1 },
    isMissing: ({ redis }) => redis === undefined,
    begin: ({ proxies }, _, random) => {
      const proxy = proxies.get('redis')!;
      proxy.begin(TROUBLES[Math.floor(random() * TROUBLES.length)]!);
      return () => proxy.heal();
    },
  },
  'the HSM hangs': {
    ...{ victims: ['whoever calls it first'], weight: 1 },
    begin: ({ hsm }) => {
      hsm.inject(['C_Encrypt', 'C_UnwrapKey'], { hang: true }, 'once');
      return () => hsm.heal();
    },
  },
  'the HSM fails': {
    ...{ victims: CUSTODIANS, weight: 2 },
    begin: ({ hsm }, _, random) => {
      const [functions, fault] = HSM_FAULTS[Math.floor(random() * HSM_FAULTS.length)]!;
      hsm.inject(functions, fault);
      return () => hsm.heal();
    },
  },
  'the disk is full': {
    ...{ victims: ['the whole platform'], weight: 1 },
    isMissing: ({ disk }) => disk === undefined,
    begin: ({ disk }) => {
      disk?.fill();
      return () => disk?.clear();
    },
  },
  'the clock is stepped': {
    ...{ victims: [...PLANES, 'worker'], weight: 2 },
    isMissing: ({ clocks }) => clocks.size === 0,
    begin: ({ clocks }, victim, random) => {
      const clock = clocks.get(victim);
      clock?.step(STEPS[Math.floor(random() * STEPS.length)]!);
      return () => clock?.step(0);
    },
  },
};

function processOf({ onboarded: { platform } }: FaultWorld, name: string): { readonly pid: number | undefined } {
  return name === 'postgres' ? platform.postgres : platform.processes.get(name)!;
}

/** Some may have ended meanwhile, which is the point. */
function signal(pids: readonly number[], name: NodeJS.Signals): void {
  for (const pid of pids) {
    try {
      process.kill(pid, name);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
    }
  }
}
