import { loadConfig } from '#runtime';
import { runCli } from './program.js';
import type { Terminal } from './terminal.js';

const terminal: Terminal = { in: process.stdin, out: process.stdout, talk: process.stderr };
// A reader that has seen enough (`keyward records list | head`) is no failure. One that leaves a file half-way is: the command says so.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (terminal.cutIsFailure !== true) process.exit(error.code === 'EPIPE' ? 0 : 1);
});
process.exitCode = await runCli(process.argv.slice(2), terminal, () => loadConfig('cli'));
