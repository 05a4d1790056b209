import { joinFrame, joinItems } from '#contract';
import { KeywardClient } from '#sdk';
import { routeBench } from './route-bench.js';

const ITEMS = 100;
const FIELD_BYTES = 64;
const CONNECTIONS = 16;

/** Decrypt in batches, as the SDK sends them, each item decided, fenced and recorded; the empty route receives one item a request, and is counted by requests. */
export const batchDecrypt = routeBench({
  ...{ name: 'batch-decrypt', unit: 'items/s', path: 'decrypt/batch', operation: 'Decrypt' },
  ...{ connections: CONNECTIONS, items: ITEMS },
  bodies: async ({ platform, apiKey, call: { keyId, encryptionContext } }) => {
    const client = new KeywardClient({ apiKey, url: platform.urls.dataPlanes[0]! });
    const fields = Array.from({ length: ITEMS }, (_, i) => ({
      keyId,
      context: encryptionContext,
      plaintext: Buffer.alloc(FIELD_BYTES, i),
    }));
    const sealed = await client.encryptBatch('acme', fields);
    client.close();
    const ciphertexts = sealed.map((one) => {
      if ('error' in one) throw one.error;
      return one.ciphertext;
    });
    const items = ciphertexts.map(() => ({ encryptionContext }));
    const empty = JSON.stringify({ ciphertext: Buffer.from(ciphertexts[0]!).toString('base64'), encryptionContext });
    return { ours: joinFrame(Buffer.from(JSON.stringify({ items })), joinItems(ciphertexts)), empty };
  },
});
