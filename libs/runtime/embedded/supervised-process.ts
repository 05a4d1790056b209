import type { ChildProcess } from 'node:child_process';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { commandLine, ended, endProcess, type Finished, killGroup, seeLog, sleep, spawnService, until } from './spawn.js';

export interface ProcessPlan {
  /** Also the name of its log file, for example `data-plane-1`. */
  readonly name: string;
  /** Absolute path of the compiled program. */
  readonly program: string;
  /** Of node, besides those that every process has. */
  readonly nodeFlags?: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
  readonly logFile: string;
  /** Whether it answers; never throws. */
  isReady(): Promise<boolean>;
}

/** A process ends with this code when starting it again cannot help or would do harm: a refused PIN, for example. */
export const EXIT_DO_NOT_RESTART = 78;

const READY_TIMEOUT_MS = 30_000;
const FAILED_STARTS_BEFORE_GIVING_UP = 4;
const DRAIN_TIMEOUT_MS = 12_000;
const SHORTEST_PAUSE_MS = 50;
const LONGEST_PAUSE_MS = 5_000;
/** A process that ran this long had started; what killed it then was something else. */
const STARTED_AFTER_MS = 2_000;

/** One process of the platform: started, awaited until ready, restarted when it dies, stopped in an orderly way. */
export class SupervisedProcess {
  private child: ChildProcess | undefined;
  private wanted = false;
  private failedStarts = 0;
  private halted: Finished | undefined;
  /** How often it ended by itself, and not by a signal; for fault tests. */
  ownEnds = 0;

  constructor(private readonly plan: ProcessPlan) {}

  get name(): string {
    return this.plan.name;
  }

  /** Process id while it runs; changes with every restart. */
  get pid(): number | undefined {
    return this.child?.pid;
  }

  /** Starts it and resolves when it is ready. @throws Error naming the process and its log when it does not get there */
  async start(): Promise<void> {
    this.wanted = true;
    this.failedStarts = 0;
    this.halted = undefined;
    this.endOrphan();
    this.spawn();
    await this.ready();
  }

  /** Resolves when it answers again, for example after `kill`. @throws Error like `start` */
  async ready(): Promise<void> {
    const hopeless = () => this.halted !== undefined || this.failedStarts >= FAILED_STARTS_BEFORE_GIVING_UP;
    const answered = await until(async () => hopeless() || (this.child !== undefined && (await this.plan.isReady())), READY_TIMEOUT_MS);
    if (answered && !hopeless()) return;
    throw new Error(`${this.name} does not become ready; ${seeLog(this.plan.logFile)}`);
  }

  /** Lets it drain, then ends whatever is left of it. */
  async stop(): Promise<void> {
    this.wanted = false;
    const { child } = this;
    if (child === undefined) return;
    // A process that a fault test has stopped with SIGSTOP must wake up to hear SIGTERM.
    child.kill('SIGCONT');
    await endProcess(child, 'SIGTERM', DRAIN_TIMEOUT_MS);
    killGroup(child.pid);
    rmSync(this.pidFile, { force: true });
  }

  /** Sends a signal; unless `stop` was called it is started again when it dies of it. For fault tests. */
  kill(signal: NodeJS.Signals = 'SIGKILL'): void {
    this.child?.kill(signal);
  }

  /** A starter that was killed leaves its processes behind; whoever starts them holds the data directory's lock. */
  private endOrphan(): void {
    if (!existsSync(this.pidFile)) return;
    const pid = Number(readFileSync(this.pidFile, 'utf8'));
    if (pid > 1 && commandLine(pid).includes(this.plan.program)) killGroup(pid);
  }

  private get pidFile(): string {
    return `${this.plan.logFile}.pid`;
  }

  private spawnIfWanted(): void {
    if (this.wanted) this.spawn();
  }

  private spawn(): void {
    const { program, nodeFlags = [], env, cwd, logFile } = this.plan;
    const command = [process.execPath, '--disable-sigusr1', '--enable-source-maps', ...nodeFlags, program];
    const child = spawnService(command, { env, cwd, logFile });
    const startedAt = performance.now();
    this.child = child;
    writeFileSync(this.pidFile, String(child.pid), { mode: 0o600 });
    void ended(child).then((finished) => this.afterEnd(child, finished, performance.now() - startedAt));
  }

  private async afterEnd(child: ChildProcess, finished: Finished, ranMs: number): Promise<void> {
    this.child = undefined;
    if (!this.wanted) return;
    if (finished.signal === null) this.ownEnds++;
    // What the dead process had started itself would keep its sockets or its token.
    killGroup(child.pid);
    if (finished.code === EXIT_DO_NOT_RESTART) {
      this.halted = finished;
      return;
    }
    this.failedStarts = ranMs < STARTED_AFTER_MS ? this.failedStarts + 1 : 0;
    await sleep(Math.min(LONGEST_PAUSE_MS, SHORTEST_PAUSE_MS * 2 ** this.failedStarts));
    this.spawnIfWanted();
  }
}
