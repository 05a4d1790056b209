/** The process that holds the PIN and the PKCS#11 module. Started by main.ts only. */
import { CustodyUnavailable } from '#core';
import { CheckpointRefused, CODE, PlaneSocket } from '#custody/socket';
import { CorruptFile, Hsm, SignedCheckpoints, Tombstones } from '#custody/pkcs11';
import type { HsmEvents } from '#custody/pkcs11';
import { logLines } from '#runtime/log-lines';
import { verifyConsistency } from '#trail';
import { pino } from 'pino';
import { custodianConfig, planes, socketPath } from './config.js';
import { NEVER_RESTART } from './exit-codes.js';
import { HEARTBEAT_MS } from './ipc.js';
import type { ChildMessage } from './ipc.js';
import { codeOf, operationsOf } from './operations.js';
import { UseCounts } from './use-counts.js';

const log = pino({ name: 'custodian', base: { pid: process.pid } }, logLines({ sync: true }));

await start();

async function start(): Promise<void> {
  process.umask(0o077);
  process.on('uncaughtException', die);
  const config = unlessWrong(() => custodianConfig());
  const running: { hsm?: Hsm } = {};
  const hsmOnceStarted = (): Hsm => {
    if (running.hsm === undefined) throw new CustodyUnavailable('the custodian is starting');
    return running.hsm;
  };
  const counts = new UseCounts(config.metricsFile);
  const sockets = planes.map((plane) => {
    const operations = operationsOf(plane, hsmOnceStarted, (name) => counts.count(plane, name));
    return new PlaneSocket({ socketPath: socketPath(config.socketDirectory, plane), operations, codeOf: logged });
  });
  // Before the files are opened, which replaces one under whoever still writes it: another custodian, or the child of a parent that was killed.
  for (const socket of sockets) await socket.listen();
  const kept = await keptFiles(config.stateDirectory);
  const connected = Promise.withResolvers<undefined>();
  const events = eventsFor(() => connected.resolve(undefined));
  const hsm = unlessWrong(() => new Hsm(config.hsm, kept, events));
  running.hsm = hsm;
  const stop = stopOnce(hsm, sockets);
  process.on('disconnect', () => void stop('the parent is gone'));
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, () => void stop('asked to'));
  await hsm.start();
  beat(() => hsm.destroyed >= config.recycleAt, stop);
  await connected.promise;
  counts.start();
  tell({ is: 'ready' });
  log.info('ready');
}

function eventsFor(onConnected: () => void): HsmEvents {
  return {
    connected: (report) => {
      log.info(report, 'HSM connected');
      onConnected();
    },
    lost: (cause) => log.error({ cause: reasonOf(cause) }, 'HSM lost'),
    fatal: (cause) => giveUp(cause),
    stuck: () => die(new Error('a call on another thread does not come back')),
  };
}

/** Every refusal is logged here with its cause: the plane learns a number only. */
function logged(error: unknown): number {
  const code = codeOf(error);
  if (code === CODE.malformed) log.error({ kind: error instanceof Error ? error.name : typeof error }, 'malformed request');
  else if (code === CODE.keyBindingBroken || error instanceof CheckpointRefused) log.error({ cause: reasonOf(error) }, 'refused');
  return code;
}

/** Alive is said from the event loop that serves: if that hangs in the module, the parent hears nothing. */
function beat(isWornOut: () => boolean, stop: (why: string) => Promise<void>): void {
  let recycling = false;
  setInterval(() => {
    tell({ is: 'alive' });
    if (recycling || !isWornOut()) return;
    recycling = true;
    tell({ is: 'recycle' });
    void stop('too many destroyed session objects');
  }, HEARTBEAT_MS);
}

function stopOnce(hsm: Hsm, sockets: readonly PlaneSocket[]): (why: string) => Promise<void> {
  let stopping = false;
  return async (why) => {
    if (stopping) return;
    stopping = true;
    log.info({ why }, 'stopping');
    await Promise.race([Promise.all(sockets.map((socket) => socket.close())), new Promise((resolve) => setTimeout(resolve, 1000))]);
    await hsm.stop();
    process.exit(0);
  };
}

/** A disk that fails may work again; what stands wrongly in a file stands there for good. */
async function keptFiles(directory: string) {
  try {
    const signed = await SignedCheckpoints.open(directory, verifyConsistency);
    return { signed, tombstones: await Tombstones.open(directory) };
  } catch (error) {
    if (error instanceof CorruptFile) giveUp(error);
    throw error;
  }
}

function unlessWrong<T>(make: () => T): T {
  try {
    return make();
  } catch (error) {
    return giveUp(error);
  }
}

function giveUp(cause: unknown): never {
  log.fatal({ cause: reasonOf(cause) }, 'cannot serve; not to be restarted before somebody looked');
  process.exit(NEVER_RESTART);
}

/** After an unknown error nothing in the process is certain; the parent starts a new one. */
function die(error: Error): void {
  log.fatal({ cause: error.message, stack: error.stack }, 'unexpected');
  process.exit(1);
}

function tell(message: ChildMessage): void {
  if (process.connected) process.send?.(message);
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown';
  return 'reason' in error && typeof error.reason === 'string' ? error.reason : error.message;
}
