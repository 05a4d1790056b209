/** The custodian's parent: never loads PKCS#11, so no vendor's code can take it down. Keeps one child alive. */
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { logLines } from '#runtime/log-lines';
import { pino } from 'pino';
import { custodianConfig } from './config.js';
import type { CustodianConfig } from './config.js';
import { NEVER_RESTART } from './exit-codes.js';
import { GuardedChild } from './guarded-child.js';

const BACK_OFF_MS = { first: 100, longest: 10_000 } as const;
const STOP_MS = 5000;
const STARTER_CHECK_MS = 500;

const log = pino({ name: 'custodian-parent', base: { pid: process.pid } }, logLines({ sync: true }));
const script = fileURLToPath(new URL('./child.js', import.meta.url));
let child: GuardedChild | undefined;
let stopping = false;
const isStopping = () => stopping;
let announced = false;

const config = settings();
for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, stop);
if (config.exitWithParent) stopWithout(process.ppid);
process.exitCode = await keepAlive(config.hangMs);

async function keepAlive(hangAfterMs: number): Promise<number> {
  for (let backOff: number = BACK_OFF_MS.first; ; ) {
    const onError = ({ message: cause }: Error) => log.error({ cause }, 'the child could not be started or reached');
    child = new GuardedChild({ script, hangMs: hangAfterMs, onReady, onHang: () => log.error('the child hangs'), onError });
    const { code, wasReady, recycled } = await child.ended;
    if (isStopping()) return 0;
    if (code === NEVER_RESTART) return NEVER_RESTART;
    log.warn({ code, recycled }, 'the child has ended');
    if (wasReady) backOff = BACK_OFF_MS.first;
    if (!recycled) await sleep(backOff);
    if (isStopping()) return 0;
    backOff = Math.min(2 * backOff, BACK_OFF_MS.longest);
  }
}

function onReady(): void {
  if (!announced) log.info('ready');
  announced = true;
}

function stop(): void {
  if (stopping) return;
  stopping = true;
  child?.stop('SIGTERM');
  setTimeout(() => child?.stop('SIGKILL'), STOP_MS).unref();
}

/** A starter that was killed cannot signal; its orphans are given another parent. */
function stopWithout(starter: number): void {
  setInterval(() => process.ppid !== starter && stop(), STARTER_CHECK_MS).unref();
}

function settings(): CustodianConfig {
  try {
    return custodianConfig();
  } catch (error) {
    log.fatal({ cause: error instanceof Error ? error.message : 'unknown' }, 'the settings are wrong');
    process.exit(NEVER_RESTART);
  }
}
