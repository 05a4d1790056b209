import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { checkoutPath, inheritedEnvironment } from '#runtime';

/** `keyward witness run` as a process of its own. */
export class WitnessProcess {
  private constructor(
    readonly child: ChildProcess,
    readonly url: string,
  ) {}

  static async start(folder: string, ...logs: readonly string[]): Promise<WitnessProcess> {
    const line = ['witness', 'run', folder, '--port', '0', ...logs.flatMap((log) => ['--log', log])];
    const child = spawn(process.execPath, [checkoutPath('dist', 'apps', 'cli', 'main.js'), ...line], {
      env: inheritedEnvironment(),
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    for await (const url of createInterface({ input: child.stdout })) return new WitnessProcess(child, url);
    throw new Error('The witness ended before it listened.');
  }

  async end(signal: NodeJS.Signals = 'SIGTERM'): Promise<number | null> {
    const { child } = this;
    if (child.exitCode === null && child.signalCode === null) {
      const exited = once(child, 'exit');
      child.kill(signal);
      await exited;
    }
    return child.exitCode;
  }
}
