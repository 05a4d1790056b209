import type { Socket } from 'node:net';
import type { ServerResponse } from 'node:http';

type Cleanup = () => void;

/** What must happen to each connection's answers that have not finished. */
const unfinished = new WeakMap<Socket, Set<Cleanup>>();

/**
 * Runs `cleanup` once the answer has left this process, or can no longer leave it. Not earlier: Node writes the very buffer it was
 * given, so an answer that waits (behind others of a pipeline, or for a slow reader) would arrive as zeros if it were wiped on `end`.
 * The connection is watched too, for the answers of a pipeline that were never assigned to it: these see no `close` of their own.
 */
export function whenAnswered(response: ServerResponse, socket: Socket, cleanup: Cleanup): void {
  if (socket.destroyed) return cleanup();
  const waiting = waitingOn(socket);
  const once = () => {
    if (waiting.delete(once)) cleanup();
  };
  waiting.add(once);
  response.once('finish', once);
}

function waitingOn(socket: Socket): Set<Cleanup> {
  const known = unfinished.get(socket);
  if (known !== undefined) return known;
  const waiting = new Set<Cleanup>();
  unfinished.set(socket, waiting);
  socket.once('close', () => {
    for (const cleanup of waiting) cleanup();
  });
  return waiting;
}
