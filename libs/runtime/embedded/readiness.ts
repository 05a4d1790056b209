import { connect } from 'node:net';

const ATTEMPT_TIMEOUT_MS = 1000;

/** Whether `GET /readyz` at this base URL answers 200. Never throws. */
export async function answersReady(baseUrl: string): Promise<boolean> {
  try {
    const { ok } = await fetch(`${baseUrl}/readyz`, { signal: AbortSignal.timeout(ATTEMPT_TIMEOUT_MS) });
    return ok;
  } catch {
    return false; // not listening yet
  }
}

/** Whether something accepts connections on a Unix socket. Never throws. */
export function acceptsConnections(socketPath: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(socketPath);
    const finish = (answer: boolean) => {
      socket.destroy();
      resolve(answer);
    };
    socket.once('connect', () => finish(true));
    socket.once('error', () => finish(false));
    socket.setTimeout(ATTEMPT_TIMEOUT_MS, () => finish(false));
  });
}
