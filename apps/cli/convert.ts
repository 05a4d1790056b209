import { createReadStream, createWriteStream, openSync, renameSync, rmSync, statSync } from 'node:fs';
import type { Duplex, Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { Envelope } from '#sdk';
import { CommandEnded } from './commands/command-ended.js';
import { refuseExisting } from './credentials-file.js';
import { EXIT, UsageError } from './exit-codes.js';
import { Progress } from './progress.js';
import type { Session } from './session.js';

/** Files; `-` is stdin and stdout. */
export interface Way {
  readonly from: string;
  readonly to: string;
}

/** Of a file at once: node's 64 KiB cost half as much CPU again. */
const READ_BYTES = 1024 * 1024;

/** Ctrl-C, `kill`, and a terminal that was closed. */
const ENDINGS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/**
 * Bytes of any size through an envelope's streams, in constant memory. A file is written aside, and gets its name when all of it is there
 * and on the disk: plaintext whose end has not been verified must not lie where somebody takes it for whole.
 */
export async function convert(session: Session, { from, to }: Way, through: (envelope: Envelope) => readonly Duplex[]): Promise<void> {
  const source = sourceOf(session, from);
  if (to !== '-') refuseExisting(to);
  const half = `${to}.half-${process.pid}`;
  const client = session.client();
  const envelope = new Envelope(client, { cache: false });
  const read = new Progress(session.terminal.talk, source.size);
  const interrupted = new AbortController();
  const interrupt = () => interrupted.abort();
  if (to === '-') session.terminal.cutIsFailure = true;
  // Opened outside of what removes it: a file of this name that is there already is somebody's.
  const target = to === '-' ? session.terminal.out : createWriteStream(half, { fd: openSync(half, 'wx', 0o600), flush: true });
  for (const signal of ENDINGS) process.once(signal, interrupt);
  try {
    await pipeline([source.stream, read, ...through(envelope), target], { signal: interrupted.signal, end: to !== '-' });
    if (to === '-') return;
    const bytesOut = statSync(half).size;
    refuseExisting(to); // what came meanwhile
    renameSync(half, to);
    session.answer({ from, to, bytesIn: read.bytes, bytesOut });
  } catch (error) {
    if (!interrupted.signal.aborted) throw error;
    session.say('keyward: interrupted.');
    throw new CommandEnded(EXIT.defect);
  } finally {
    for (const signal of ENDINGS) process.removeListener(signal, interrupt);
    if (to !== '-') rmSync(half, { force: true });
    envelope.close();
    client.close();
  }
}

function sourceOf({ terminal }: Session, from: string): { readonly stream: Readable; readonly size?: number } {
  if (from === '-') return { stream: terminal.in };
  const stat = statSync(from, { throwIfNoEntry: false });
  if (stat === undefined || stat.isDirectory()) throw new UsageError(`${from} cannot be read.`);
  return { stream: createReadStream(from, { highWaterMark: READ_BYTES }), ...(stat.isFile() && { size: stat.size }) };
}
