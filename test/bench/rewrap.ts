import { KeywardAdmin, KeywardClient, Rewraps, type StoredItem } from '#sdk';
import { foreground } from './foreground.js';
import { type Bench, type BenchOptions, percentile, type Result, rounded } from './result.js';
import { startWorld, type World } from './world.js';

const ITEMS = Number(process.env['KEYWARD_BENCH_REWRAP_ITEMS'] ?? 1_000_000);
const AT_ONCE = 500;
const FASTEST = 100_000;

/** The ISV's table: encrypted data keys of one length, in one piece of memory. */
class Table {
  #bytes = Buffer.alloc(0);
  #length = 0;

  constructor(readonly count: number) {}

  set(row: number, edk: Uint8Array): void {
    if (this.#length === 0) {
      this.#length = edk.length;
      this.#bytes = Buffer.alloc(this.count * edk.length);
    }
    if (edk.length !== this.#length) throw new RangeError('Data keys of one kind have one length.');
    this.#bytes.set(edk, row * this.#length);
  }

  page(from: number, most: number, context: World['call']['encryptionContext']): StoredItem[] {
    const rows = Array.from({ length: Math.min(most, this.count - from) }, (_, index) => from + index);
    return rows.map((row) => ({
      itemId: String(row),
      ciphertext: this.#bytes.subarray(row * this.#length, (row + 1) * this.#length),
      context,
    }));
  }
}

/**
 * EDKs a second of a re-wrap, beside re-encryption in batches of the same size without a project, both while others call; and what it does
 * to these others.
 */
export const rewrap: Bench = async (options) => {
  const world = await startWorld();
  const client = new KeywardClient({ apiKey: world.apiKey, url: world.platform.urls.dataPlanes[0]! });
  try {
    return await measured(world, client, options);
  } finally {
    client.close();
    await world.stop();
  }
};

async function measured(world: World, client: KeywardClient, { seconds, log }: BenchOptions): Promise<Result[]> {
  const { encryptionContext: context } = world.call;
  const table = await filled(client, world);
  const beforehand = foreground(client, world);
  const plain = await reEncrypting(client, world, table, seconds);
  await beforehand.end();
  const alone = foreground(client, world);
  await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
  const without = await alone.end();

  const operationId = await started(world);
  const rewraps = new Rewraps({ apiKey: world.apiKey, url: world.platform.urls.dataPlanes[0]! });
  const beside = foreground(client, world);
  const begun = performance.now();
  const { state, progress } = await rewraps.run({
    ...{ tenant: 'acme', operationId, population: ITEMS },
    source: async (cursor = '0') => {
      const next = Number(cursor) + AT_ONCE;
      return { items: table.page(Number(cursor), AT_ONCE, context), ...(next < ITEMS && { next: String(next) }) };
    },
    sink: async (outcomes) => {
      for (const one of outcomes) if (one.status === 'moved') table.set(Number(one.item.itemId), one.ciphertext);
    },
  });
  const elapsed = (performance.now() - begun) / 1000;
  const during = await beside.end();
  if (state !== 'succeeded' || progress.done !== ITEMS) throw new Error(`The re-wrap ${state}: ${progress.done} of ${ITEMS}.`);
  log(`rewrap: ${ITEMS} data keys in ${elapsed.toFixed(1)} s`);
  const rate = ITEMS / elapsed;
  const [p99, p99Alone] = [percentile(during, 0.99), percentile(without, 0.99)];
  return [
    { name: 'rewrap', value: Math.round(rate), unit: 'EDKs/s', baseline: Math.round(plain), ratio: rounded(rate / plain, 3), items: ITEMS },
    {
      ...{ name: 'rewrap-foreground', value: rounded(p99, 2), unit: 'ms p99 of GenerateDataKey' },
      ...{ baseline: rounded(p99Alone, 2), ratio: rounded(p99 / p99Alone, 3) },
      ...{ p50Ms: rounded(percentile(during, 0.5), 2), p99Ms: rounded(p99, 2), p50MsWithout: rounded(percentile(without, 0.5), 2) },
    },
  ];
}

async function filled(client: KeywardClient, { call: { keyId, encryptionContext: context } }: World): Promise<Table> {
  const table = new Table(ITEMS);
  for (let row = 0; row < ITEMS; row += AT_ONCE) {
    const asked = Array.from({ length: Math.min(AT_ONCE, ITEMS - row) }, () => ({ keyId, context }));
    for (const [index, made] of (await client.generateDataKeyBatch('acme', asked)).entries()) {
      if ('error' in made) throw made.error;
      made.plaintext.fill(0);
      table.set(row + index, made.ciphertext);
    }
  }
  return table;
}

/** Items a second, one batch after the other. */
async function reEncrypting(client: KeywardClient, { call }: World, table: Table, seconds: number): Promise<number> {
  const { keyId: destinationKeyId, encryptionContext: context } = call;
  const items = table.page(0, AT_ONCE, context).map(({ ciphertext }) => ({
    ...{ ciphertext, sourceContext: context },
    ...{ destinationKeyId, destinationContext: context },
  }));
  const begun = performance.now();
  let count = 0;
  while (performance.now() - begun < seconds * 1000) {
    const answers = await client.reEncryptBatch('acme', items);
    for (const answer of answers) if ('error' in answer) throw answer.error;
    count += answers.length;
  }
  return count / ((performance.now() - begun) / 1000);
}

/** A new version, and the project that moves everything to it. */
async function started({ platform: { urls }, admin: apiKey }: World): Promise<string> {
  const admin = new KeywardAdmin({ apiKey, keyPlane: urls.keyPlane });
  const { items } = await admin.listKeys('acme');
  const { keyId, primaryVersion: fromVersionId } = items[0]!;
  await admin.createKeyVersion('acme', keyId, {});
  return (await admin.startRewrap('acme', keyId, { fromVersionId, service: 'billing', itemsPerSecond: FASTEST })).operationId;
}
