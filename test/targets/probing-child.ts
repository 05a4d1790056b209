import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { runInThisContext } from 'node:vm';
import { Worker } from 'node:worker_threads';

/** In the place of the targets' process, under the same flags: tries what it must not be able to do, and tells what it could. */
const ATTEMPTS: Readonly<Record<string, (path: string) => unknown>> = {
  environment: () => Object.keys(process.env).filter((name) => name !== 'PWD'),
  'a file': (path) => readFileSync(path, 'utf8'),
  'a folder': () => readdirSync('/'),
  'its open files': () => readlinkSync('/proc/self/fd/0'),
  'another environment': () => readFileSync('/proc/self/environ', 'utf8'),
  'writing a file': (path) => writeFileSync(`${path}.written`, ''),
  'a program': () => execFileSync('/bin/true').toString(),
  'a thread': () => new Worker('', { eval: true }).threadId,
  'native code': () => process.dlopen({ exports: {} }, '/lib/x86_64-linux-gnu/libc.so.6'),
  'code from a string': () => runInThisContext('eval("1")') as unknown,
};

process.once('message', (message) => {
  const path = new TextDecoder().decode((message as { request: { current: Uint8Array } }).request.current);
  const told = Object.entries(ATTEMPTS).map(([name, attempt]) => {
    try {
      return [name, attempt(path) ?? 'done'];
    } catch (error) {
      return [name, (error as NodeJS.ErrnoException).code ?? (error as Error).name];
    }
  });
  const say = (reached: string) =>
    process.send!({ done: true, value: new TextEncoder().encode(JSON.stringify(Object.fromEntries([...told, ['TCP', reached]]))) });
  connect(1, '127.0.0.1').on('error', ({ code }: NodeJS.ErrnoException) => say(code ?? ''));
});
