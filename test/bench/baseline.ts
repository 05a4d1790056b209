import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { checkoutPath } from '#runtime';

export interface Baseline {
  readonly url: string;
  readonly pid: number;
  stop(): Promise<void>;
}

/** Starts the empty route with the node flags that the planes are started with. */
export async function startBaseline(): Promise<Baseline> {
  const program = checkoutPath('dist', 'test', 'bench', 'baseline-server.js');
  const child = spawn(process.execPath, ['--disable-sigusr1', '--enable-source-maps', program], { stdio: ['ignore', 'pipe', 'inherit'] });
  const port = await firstLine(child);
  if (child.pid === undefined) throw new Error('The baseline did not start.');
  return { url: `http://127.0.0.1:${port}/empty`, pid: child.pid, stop: () => ended(child) };
}

async function firstLine(child: ChildProcess): Promise<string> {
  if (child.stdout === null) throw new Error('The baseline has no stdout.');
  for await (const line of createInterface({ input: child.stdout })) return line;
  throw new Error('The baseline did not start.');
}

async function ended(child: ChildProcess): Promise<void> {
  const exit = once(child, 'exit');
  child.kill('SIGTERM');
  await exit;
}
