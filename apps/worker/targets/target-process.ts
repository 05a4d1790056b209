import { spawn } from 'node:child_process';
import { builtProgram, checkoutPath } from '#runtime';
import { TargetError } from './rotation-target.js';
import { turnAnswer } from './turn-answer.js';
import type { TurnRequest } from './turn.js';

/** Of one turn, in the child; the child itself is killed a little later. */
const TIME_LIMIT_MS = 30_000;
const START_MS = 10_000;
/** What a turn may use of the machine's memory, in MiB: a hostile server's answer must not take the worker's. */
const HEAP_MIB = 128;

export interface TargetProcessOptions {
  /** `host:port` that the operator vouches for. */
  readonly allow: readonly string[];
  readonly timeLimitMs?: number;
  /** What a process may take to start, besides. */
  readonly startMs?: number;
  /** For tests. */
  readonly script?: string;
}

/** Runs one step at one target. @throws TargetError */
export type RunTurn = (request: TurnRequest) => Promise<Uint8Array | undefined>;

/**
 * Each turn in a process of its own, which ends with it: one tenant's target never shares memory with another's. It gets its request and
 * nothing else: no environment, no open file, no way to files, programs and native code (Node's permissions).
 */
export function targetProcess({
  allow,
  timeLimitMs = TIME_LIMIT_MS,
  startMs = START_MS,
  script = builtProgram('worker', 'targets/child.js'),
}: TargetProcessOptions): RunTurn {
  return async (request) => {
    const child = spawn('/bin/sh', ['-c', 'ulimit -c 0; exec "$@"', 'sh', process.execPath, ...permissions(script), script], {
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
      env: {},
      cwd: '/',
      serialization: 'advanced',
    });
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    child.once('message', resolve);
    child.once('error', (cause) => reject(new TargetError('unavailable', 'no process', cause)));
    // After its message, if there was one.
    child.once('exit', () => reject(new TargetError('unavailable', 'its process ended')));
    const late = setTimeout(() => reject(new TargetError('unavailable', 'no answer in time')), startMs + timeLimitMs);
    try {
      child.send({ allow, timeLimitMs, request }, (cause) => cause && reject(new TargetError('unavailable', 'no process', cause)));
      return settled(await promise);
    } finally {
      clearTimeout(late);
      child.kill('SIGKILL');
    }
  };
}

function permissions(script: string): string[] {
  const read = [checkoutPath('dist'), checkoutPath('node_modules'), checkoutPath('package.json'), script];
  return [
    '--permission',
    '--allow-net',
    ...read.map((path) => `--allow-fs-read=${path}`),
    ...['--disable-sigusr1', '--disallow-code-generation-from-strings', `--max-old-space-size=${HEAP_MIB}`, '--no-warnings'],
  ];
}

function settled(message: unknown): Uint8Array | undefined {
  const { success, data } = turnAnswer.safeParse(message);
  if (!success) throw new TargetError('unavailable', 'an answer of no known form');
  if ('reason' in data) throw new TargetError(data.reason, data.detail);
  return data.value;
}
