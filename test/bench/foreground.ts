import type { KeywardClient } from '#sdk';
import type { World } from './world.js';

const CALLERS = 4;

/** Latencies of a few callers who ask one data key after the other, in ms. */
export function foreground(client: KeywardClient, { call: { keyId, encryptionContext: context } }: World) {
  const latencies: number[] = [];
  let isOver = false;
  const caller = async () => {
    while (!isOver) {
      const begun = performance.now();
      (await client.generateDataKey({ tenant: 'acme', keyId, context })).plaintext.fill(0);
      latencies.push(performance.now() - begun);
    }
  };
  const callers = Array.from({ length: CALLERS }, caller);
  return {
    end: async (): Promise<readonly number[]> => {
      isOver = true;
      await Promise.all(callers);
      return latencies;
    },
  };
}
