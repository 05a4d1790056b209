import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { isChildMessage } from './ipc.js';

export interface ChildEnd {
  readonly code: number | null;
  readonly wasReady: boolean;
  /** It asked for its own replacement. */
  readonly recycled: boolean;
}

export interface GuardedChildOptions {
  readonly script: string;
  /** Silence after which it is killed. Before it is ready it gets ten times as long: a large token takes a while to open. */
  readonly hangMs: number;
  readonly onReady: () => void;
  readonly onHang: () => void;
  /** It could not be started, or not be reached. */
  readonly onError: (error: Error) => void;
}

const START_FACTOR = 10;

/** One child process: without debugger signal, without core dumps (they would hold the PIN), killed when it falls silent. */
export class GuardedChild {
  readonly ended: Promise<ChildEnd>;
  readonly #process: ChildProcess;
  #lastHeard = performance.now();
  #ready = false;
  #recycled = false;

  constructor(private readonly options: GuardedChildOptions) {
    // node:ffi warns that it is experimental; openssl-sm2.ts says why it is used all the same.
    const flags = ['--disable-sigusr1', '--enable-source-maps', '--disable-warning=ExperimentalWarning'];
    const command = [process.execPath, ...flags, options.script];
    // exec keeps the process id, and with it signals and IPC.
    this.#process = spawn('/bin/sh', ['-c', 'ulimit -c 0; exec "$@"', 'sh', ...command], {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    this.#process.on('message', (message) => this.#hear(message));
    const watch = setInterval(() => this.#killIfSilent(), 100);
    this.ended = new Promise((resolve) => {
      const end = (code: number | null) => {
        clearInterval(watch);
        resolve({ code, wasReady: this.#ready, recycled: this.#recycled });
      };
      this.#process.once('exit', end);
      // No process, no exit: where there are too many processes or open files, the parent tries again later.
      this.#process.on('error', (error) => {
        options.onError(error);
        if (this.#process.pid === undefined) end(null);
      });
    });
  }

  get pid(): number | undefined {
    return this.#process.pid;
  }

  stop(signal: 'SIGTERM' | 'SIGKILL'): void {
    this.#process.kill(signal);
  }

  #hear(message: unknown): void {
    if (!isChildMessage(message)) return;
    this.#lastHeard = performance.now();
    if (message.is === 'recycle') this.#recycled = true;
    if (message.is !== 'ready' || this.#ready) return;
    this.#ready = true;
    this.options.onReady();
  }

  #killIfSilent(): void {
    const patience = this.options.hangMs * (this.#ready ? 1 : START_FACTOR);
    if (performance.now() - this.#lastHeard < patience) return;
    this.#lastHeard = Infinity;
    this.options.onHang();
    this.stop('SIGKILL');
  }
}
