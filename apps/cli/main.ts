import { loadConfig } from '#runtime';
import { runCli } from './program.js';

// A reader that has seen enough (`keyward records list | head`) is no failure.
process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1));

const terminal = { in: process.stdin, out: process.stdout, talk: process.stderr };
process.exitCode = await runCli(process.argv.slice(2), terminal, () => loadConfig('cli'));
