import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { closeSync, fstatSync, openSync, readFileSync, readSync } from 'node:fs';
import { hasCode } from '../error-code.js';
import type { SystemUser } from './as-user.js';

export interface SpawnOptions {
  readonly env: Readonly<Record<string, string>>;
  /** Working directory; the user must be able to enter it. */
  readonly cwd: string;
  /** File that both output streams are appended to; 0600. */
  readonly logFile: string;
  readonly user?: SystemUser | undefined;
}

/**
 * Starts a long-running program without core dumps (a core holds keys) and in a process group of its own, so that
 * Ctrl-C reaches only the starter, which then stops everything in order.
 */
export function spawnService(command: readonly string[], { env, cwd, logFile, user }: SpawnOptions): ChildProcess {
  const log = openSync(logFile, 'a', 0o600);
  try {
    const identity = user === undefined ? {} : { uid: user.uid, gid: user.gid };
    const args = ['-c', 'ulimit -c 0; exec "$@"', 'sh', ...command];
    return spawn('/bin/sh', args, { env, cwd, detached: true, stdio: ['ignore', log, log], ...identity });
  } finally {
    closeSync(log);
  }
}

export interface Finished {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** Settles when the process has ended; a process that could not be started counts as ended. */
export function ended(child: ChildProcess): Promise<Finished> {
  if (hasEnded(child)) return Promise.resolve({ code: child.exitCode, signal: child.signalCode });
  return new Promise((resolve) => {
    child.once('exit', (code, signal) => resolve({ code, signal }));
    child.once('error', () => resolve({ code: 127, signal: null }));
  });
}

export const hasEnded = (child: ChildProcess) => child.exitCode !== null || child.signalCode !== null;

const TOLD = { lines: 5, bytes: 4096 } as const;

/** Where to look, and what stands there last: the file may be gone with its directory before anybody looks. */
export function seeLog(logFile: string): string {
  const file = openSync(logFile, 'r');
  try {
    const { size } = fstatSync(file);
    const end = Buffer.alloc(Math.min(size, TOLD.bytes));
    readSync(file, end, 0, end.length, size - end.length);
    return `see ${logFile}, which ends:\n${end.toString().trimEnd().split('\n').slice(-TOLD.lines).join('\n')}`;
  } finally {
    closeSync(file);
  }
}

/** Migrations of a large database included. */
const RUN_ONCE_TIMEOUT_MS = 120_000;

/** Runs a short program to its end; its output goes to the log file. @throws Error with the program's label and exit code */
export async function runOnce(label: string, command: readonly string[], options: SpawnOptions): Promise<void> {
  const child = spawnService(command, options);
  const timer = setTimeout(() => killGroup(child.pid), RUN_ONCE_TIMEOUT_MS);
  const { code, signal } = await ended(child);
  clearTimeout(timer);
  if (code !== 0) throw new Error(`${label} ended with ${signal ?? `code ${String(code)}`}; ${seeLog(options.logFile)}`);
}

/**
 * Asks a process to end, and kills its whole group when it does not within the time.
 * @param signal what the program understands as an orderly stop
 */
export async function endProcess(child: ChildProcess, signal: NodeJS.Signals, timeoutMs: number): Promise<void> {
  child.kill(signal);
  const timer = setTimeout(() => killGroup(child.pid), timeoutMs);
  await ended(child);
  clearTimeout(timer);
}

/** Services lead a process group of their own; children of theirs that are still there go with it. */
export function killGroup(leader: number | undefined): void {
  if (leader === undefined) return;
  try {
    process.kill(-leader, 'SIGKILL');
  } catch (error) {
    if (!hasCode(error, 'ESRCH')) throw error;
  }
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return hasCode(error, 'EPERM');
  }
}

/** The command line of a process, or an empty string when there is none: guards against a recycled process id. */
export function commandLine(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
  } catch {
    // No /proc (macOS), or no such process: ps tells either way.
    return spawnSync('ps', ['-o', 'args=', '-p', String(pid)], { encoding: 'utf8' }).stdout;
  }
}

/** Polls until `done` is true. @returns false when the time is over */
export async function until(done: () => boolean | Promise<boolean>, timeoutMs: number, everyMs = 25): Promise<boolean> {
  const deadline = performance.now() + timeoutMs;
  while (!(await done())) {
    if (performance.now() > deadline) return false;
    await sleep(everyMs);
  }
  return true;
}

export function sleep(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
