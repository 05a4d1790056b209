import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { z } from 'zod';
import { checkoutPath } from '#runtime';

export interface LoadCall {
  readonly url: string;
  /** Header values; they may hold a credential, so they never stand on a command line. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
  readonly connections: number;
  readonly seconds: number;
}

export interface Load {
  readonly answers: number;
  /** Answers that were no 2xx, and connections that broke. */
  readonly failures: number;
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** User and system time of the generator itself. */
  readonly cpuUs: number;
}

const hasWrk = spawnSync('wrk', ['-v'], { stdio: 'ignore' }).error === undefined;
/** Told in the results: figures of different generators do not compare. */
export const GENERATOR = hasWrk ? 'wrk' : 'autocannon';

/** Sends the same POST over kept connections, each with one call in flight. */
export async function generateLoad(call: LoadCall): Promise<Load> {
  const folder = mkdtempSync(join(tmpdir(), 'keyward-bench-'));
  try {
    return await (hasWrk ? withWrk(call, folder) : withAutocannon(call, folder));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

async function withWrk({ url, headers, body, connections, seconds }: LoadCall, folder: string): Promise<Load> {
  const script = join(folder, 'post.lua');
  const setHeaders = Object.entries(headers).map(([name, value]) => `wrk.headers[${JSON.stringify(name)}] = ${JSON.stringify(value)}`);
  const report = `io.write(string.format('{"answers":%d,"us":%d,"status":%d,"broken":%d,"p50":%d,"p99":%d}\\n', s.requests, s.duration, s.errors.status,
    s.errors.connect + s.errors.read + s.errors.write + s.errors.timeout, l:percentile(50), l:percentile(99)))`;
  const lines = [
    `wrk.method = "POST"`,
    `wrk.body = "${[...body].map((byte) => `\\${String(byte).padStart(3, '0')}`).join('')}"`,
    ...setHeaders,
    `done = function(s, l, r) ${report} end`,
  ];
  writeFileSync(script, `${lines.join('\n')}\n`, { mode: 0o600 });
  const { output, cpuUs } = await timed(['wrk', '-t1', `-c${connections}`, `-d${seconds}s`, '-s', script, url]);
  const read = wrkReport.parse(JSON.parse(/^\{"answers".*$/m.exec(output)?.[0] ?? 'null'));
  const perSecond = read.answers / (read.us / 1e6);
  return { answers: read.answers, failures: read.status + read.broken, perSecond, p50Ms: read.p50 / 1000, p99Ms: read.p99 / 1000, cpuUs };
}

const wrkReport = z.object({ answers: z.int(), us: z.int(), status: z.int(), broken: z.int(), p50: z.int(), p99: z.int() });

async function withAutocannon(call: LoadCall, folder: string): Promise<Load> {
  const settings = join(folder, 'call.json');
  writeFileSync(settings, JSON.stringify({ ...call, body: Buffer.from(call.body).toString('base64') }), { mode: 0o600 });
  const program = checkoutPath('dist', 'test', 'bench', 'autocannon-call.js');
  const { output, cpuUs } = await timed([process.execPath, program, settings]);
  const { answers, failures, seconds, p50, p99 } = autocannonReport.parse(JSON.parse(output.slice(0, output.indexOf('\n'))));
  return { answers, failures, perSecond: answers / seconds, p50Ms: p50, p99Ms: p99, cpuUs };
}

const autocannonReport = z.object({ answers: z.number(), failures: z.number(), seconds: z.number(), p50: z.number(), p99: z.number() });

/** Runs a program under a shell that tells afterwards how much CPU its children took (POSIX `times`, the second line). */
async function timed(command: readonly string[]): Promise<{ output: string; cpuUs: number }> {
  const child = spawn('sh', ['-c', '"$@" || exit $?; times', 'sh', ...command], { stdio: ['ignore', 'pipe', 'inherit'] });
  const [output, [code]] = await Promise.all([text(child.stdout), once(child, 'exit')]);
  if (code !== 0) throw new Error(`${command[0]} ended with code ${String(code)}.`);
  const ofChildren = output.trimEnd().split('\n').at(-1) ?? '';
  const cpuSeconds = [...ofChildren.matchAll(/(\d+)m([\d.]+)s/g)].map(([, minutes, rest]) => Number(minutes) * 60 + Number(rest));
  return { output, cpuUs: cpuSeconds.reduce((sum, value) => sum + value, 0) * 1e6 };
}
