import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { builtTest } from '../stories/built.js';

/** To go no further than this point, once. */
export interface Doom<Point extends string> {
  readonly at: Point;
  readonly by: 'SIGKILL' | 'SIGSTOP';
}

/** A worker of its own process, which its parent has killed or stopped wherever it likes, and started again. */
export class DyingProcess<Point extends string> {
  #child: ChildProcess | undefined;

  /** `hears`: whatever it says of itself. */
  constructor(
    private readonly program: string,
    private readonly settings: object,
    private readonly hears: (message: object, answer: (message: object) => void) => void,
    private readonly env: Readonly<Record<string, string>> = {},
  ) {
    this.start();
  }

  start(): void {
    const child = fork(builtTest(this.program), [JSON.stringify(this.settings)], {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      serialization: 'advanced',
      env: { ...process.env, ...this.env },
    });
    child.on('message', (message: object) => this.hears(message, (answer) => child.connected && child.send(answer, () => undefined)));
    this.#child = child;
  }

  /** Resolves when it has come to that point, and is killed or stopped. */
  async doomed(doom: Doom<Point>): Promise<void> {
    const child = this.#child!;
    // One listener for all: several messages may come in one turn, and whoever asks for one at a time misses the rest.
    const passed = new Promise<void>((resolve) =>
      child.on('message', (message: { passes?: Point }) => void (message.passes === undefined || resolve())),
    );
    child.send(doom);
    await (doom.by === 'SIGKILL' ? once(child, 'exit') : passed);
  }

  wake(): void {
    this.#child?.kill('SIGCONT');
  }

  end(): void {
    this.#child?.kill('SIGKILL');
  }
}
