import { fstatSync, writeSync } from 'node:fs';
import { type DestinationStream, pino } from 'pino';

const STDOUT = 1;

/**
 * Where a process's log lines go: its stdout. Where that is a file, a line that finds no room is lost, and the process goes on; pino's own
 * destination would end it, and then wait for room without end.
 * @param sync whether a line has left when the call returns, also where stdout is a pipe. Default: no, so that nobody who reads too slowly holds up a plane
 */
export function logLines({ sync = false, fd = STDOUT }: { readonly sync?: boolean; readonly fd?: number } = {}): DestinationStream {
  return fstatSync(fd).isFile() ? { write: (line) => writeOrLose(fd, line) } : pino.destination({ dest: fd, sync });
}

function writeOrLose(fd: number, line: string): void {
  try {
    writeSync(fd, line);
  } catch {
    // The disk is full, or broken. What must not be lost is in the trail, and fails with it.
  }
}
