import { KeywardClient } from '#sdk';
import type { World } from './world.js';

/** One call. */
export type Target = (client: KeywardClient) => Promise<void>;

/** GenerateDataKey in each of these tenants, with each of these keys. */
export const targetsOf = ({ call }: World, tenants: readonly string[], keys: readonly string[] = [call.keyId]): readonly Target[] =>
  tenants.flatMap((tenant) =>
    keys.map(
      (keyId): Target =>
        async (client) => {
          (await client.generateDataKey({ tenant, keyId, context: call.encryptionContext })).plaintext.fill(0);
        },
    ),
  );

/** Decrypt of so many fields in one batch. */
export async function encryptedFields(world: World, size: number): Promise<readonly Target[]> {
  const { keyId, encryptionContext: context } = world.call;
  const client = clientOf(world);
  const sealed = await client.encryptBatch(
    'acme',
    Array.from({ length: size }, (_, n) => ({ keyId, context, plaintext: Buffer.alloc(64, n) })),
  );
  client.close();
  const items = sealed.map((one) => {
    if ('error' in one) throw one.error;
    return { ciphertext: one.ciphertext, context };
  });
  const target: Target = async (caller) => {
    for (const one of await caller.decryptBatch('acme', items)) if ('error' in one) throw one.error;
  };
  return [target];
}

/** So many callers, each on a connection of its own, take the targets in turn for so long; milliseconds of each call. @throws what a call throws */
export async function latenciesOf(world: World, targets: readonly Target[], callers: number, seconds: number): Promise<number[]> {
  const times: number[] = [];
  let turn = 0;
  const until = performance.now() + 1000 * seconds;
  const calling = async () => {
    const client = clientOf(world);
    try {
      for (let sent = performance.now(); sent < until; sent = performance.now()) {
        await targets[turn++ % targets.length]!(client);
        times.push(performance.now() - sent);
      }
    } finally {
      client.close();
    }
  };
  await Promise.all(Array.from({ length: callers }, calling));
  return times;
}

const clientOf = ({ apiKey, platform }: World) => new KeywardClient({ apiKey, url: platform.urls.dataPlanes[0]! });
