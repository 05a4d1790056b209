import { createCipheriv, createSecretKey, randomBytes } from 'node:crypto';
import { cpus } from 'node:os';
import { Readable, type Transform, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { Envelope, Fields, KeywardClient } from '#sdk';
import { type Bench, median, type Result, rounded } from './result.js';
import { startWorld } from './world.js';

const PAIRS = 5;
/** As files and sockets are read. */
const CHUNK = randomBytes(64 * 1024);
const STREAM_MB = 256;
const STREAM_CHUNKS = (STREAM_MB * 1024 * 1024) / CHUNK.length;
const FIELD = randomBytes(64);
const FIELDS = 100_000;

/**
 * What an ISV pays for the SDK beside node's own AES-256-GCM: a stream of 256 MB, and fields under a data key that is held. A second is one
 * of CPU, user and system, of this process: on one core, whatever else the machine does.
 */
export const sdk: Bench = async ({ log }) => {
  log('starting the platform');
  const { platform, apiKey, call, stop } = await startWorld();
  const client = new KeywardClient({ apiKey, url: platform.urls.dataPlanes[0]! });
  try {
    const scope = { tenant: 'acme', keyId: call.keyId, context: call.encryptionContext };
    const envelope = new Envelope(client);
    const key = createSecretKey(randomBytes(32));
    const raw = () => createCipheriv('aes-256-gcm', key, randomBytes(12)) as Transform;
    const bound = new Fields(client).of(scope);
    return [
      await compared('sdk-stream', 'MB/s', STREAM_MB, log, {
        ours: () => streamed(() => envelope.encryptStream(scope)),
        raw: () => streamed(raw),
      }),
      await compared('sdk-fields', 'fields/s', FIELDS, log, {
        ours: () => repeated(() => bound.encrypt(FIELD)),
        raw: () => repeated(() => sealedRaw(key)),
      }),
    ];
  } finally {
    client.close();
    await stop();
  }
};

/** Each run once to warm up, then in turns. */
async function compared(
  name: string,
  unit: string,
  amount: number,
  log: (line: string) => void,
  run: Readonly<Record<'ours' | 'raw', () => Promise<void>>>,
): Promise<Result> {
  const perSecond = async (which: 'ours' | 'raw') => {
    const begun = process.cpuUsage();
    await run[which]();
    const { user, system } = process.cpuUsage(begun);
    return amount / ((user + system) / 1e6);
  };
  await perSecond('raw');
  await perSecond('ours');
  const pairs: { value: number; baseline: number }[] = [];
  for (let pair = 1; pair <= PAIRS; pair++) {
    const baseline = await perSecond('raw');
    const value = await perSecond('ours');
    pairs.push({ value: rounded(value, 0), baseline: rounded(baseline, 0) });
    log(`${name}, pair ${pair}: raw AES-256-GCM ${baseline.toFixed(0)} ${unit}, ours ${value.toFixed(0)}`);
  }
  return {
    ...{ name, unit, pairs },
    value: median(pairs.map(({ value }) => value)),
    baseline: median(pairs.map(({ baseline }) => baseline)),
    ratio: rounded(median(pairs.map(({ value, baseline }) => value / baseline)), 3),
    node: process.version,
    cores: cpus().length,
  };
}

async function streamed(through: () => NodeJS.ReadWriteStream): Promise<void> {
  const source = Readable.from(chunks());
  await pipeline(source, through(), new Writable({ write: (_chunk, _encoding, done) => done() }));
}

function* chunks(): Generator<Buffer> {
  for (let chunk = 0; chunk < STREAM_CHUNKS; chunk++) yield CHUNK;
}

async function repeated(work: () => unknown): Promise<void> {
  for (let field = 0; field < FIELDS; field++) await work();
}

function sealedRaw(key: ReturnType<typeof createSecretKey>): Buffer {
  const iv = randomBytes(12);
  const cipher = createCipheriv('aes-256-gcm', key, iv);
  return Buffer.concat([iv, cipher.update(FIELD), cipher.final(), cipher.getAuthTag()]);
}
