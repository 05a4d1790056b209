import { createServer } from 'node:net';

/** The documented ports: PostgreSQL, key-plane, data-plane, auditor, worker. */
const DOCUMENTED = [7705, 7710, 7720, 7730, 7740];

/** Those of the documented ports that something else on this host listens on. */
export async function takenPorts(ports: readonly number[] = DOCUMENTED): Promise<number[]> {
  const checked = await Promise.all(ports.map(async (port) => ((await isFree(port)) ? [] : [port])));
  return checked.flat();
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once('error', () => resolve(false));
    probe.listen(port, '127.0.0.1', () => probe.close(() => resolve(true)));
  });
}
