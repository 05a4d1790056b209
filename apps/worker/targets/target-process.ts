import { spawn } from 'node:child_process';
import { builtProgram, checkoutPath } from '#runtime';
import type { RunTurn, StepFailed } from '#core';
import type { TurnOrder } from './perform.js';
import { type TurnAnswer, turnAnswer } from './turn-answer.js';

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
    const { promise, resolve } = Promise.withResolvers<TurnAnswer>();
    const failed = (detail: string) => resolve(unavailable(detail));
    child.once('message', (message) => resolve(turnAnswer.safeParse(message).data ?? unavailable('an answer of no known form')));
    child.once('error', () => failed('no process'));
    // After its message, if there was one.
    child.once('exit', () => failed('its process ended'));
    const late = setTimeout(() => failed('no answer in time'), startMs + timeLimitMs);
    try {
      child.send({ allow: [...allow], timeLimitMs, request } satisfies TurnOrder, (error) => error && failed('no process'));
      return await promise;
    } finally {
      clearTimeout(late);
      child.kill('SIGKILL');
    }
  };
}

const unavailable = (detail: string): StepFailed => ({ failure: 'unavailable', detail });

function permissions(script: string): string[] {
  const read = [checkoutPath('dist'), checkoutPath('node_modules'), checkoutPath('package.json'), script];
  return [
    '--permission',
    '--allow-net',
    ...read.map((path) => `--allow-fs-read=${path}`),
    ...['--disable-sigusr1', '--disallow-code-generation-from-strings', `--max-old-space-size=${HEAP_MIB}`, '--no-warnings'],
  ];
}
