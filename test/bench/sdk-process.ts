import { createCipheriv, createSecretKey, randomBytes } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { Readable, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { z } from 'zod';
import { Envelope, Fields, KeywardClient } from '#sdk';

/**
 * A service of the ISV's: `ours` with the SDK, or `raw` with node's own AES-256-GCM and the same sources and sinks. Each is a process of its
 * own, as a service is: what one leaves to the allocator and the garbage collector must not help or hinder the other. Told on its channel
 * what to run, it answers the amount a second of this process's CPU, user and system, and a second of the clock.
 */
const { SERVICE_KEY: apiKey = '', USES: url = '', SCOPE: scopeText = '{}', SOURCE: source = '', SINK: sink = '' } = process.env;
const scope = JSON.parse(scopeText) as { tenant: string; keyId: string; context: Record<string, string> };

/** As files and sockets are read. */
const CHUNK = randomBytes(64 * 1024);
const STREAM_MB = 256;
const STREAM_CHUNKS = (STREAM_MB * 1024 * 1024) / CHUNK.length;
const FIELD = randomBytes(64);
const FIELDS = 100_000;

const key = createSecretKey(randomBytes(32));
const client = new KeywardClient({ apiKey, url });
const envelope = new Envelope(client);
const bound = new Fields(client).of(scope);
const WORK = {
  ours: { through: () => envelope.encryptStream(scope), sealed: () => bound.encrypt(FIELD) },
  raw: { through: () => createCipheriv('aes-256-gcm', key, randomBytes(12)), sealed: sealedRaw },
} as const;
const { through, sealed } = WORK[z.enum(['ours', 'raw']).parse(process.argv[2])];

const RUNS = {
  'sdk-stream': {
    amount: STREAM_MB,
    run: () => pipeline(Readable.from(chunks()), through(), new Writable({ write: (_c, _e, done) => done() })),
  },
  'sdk-stream-files': { amount: STREAM_MB, run: () => pipeline(createReadStream(source), through(), createWriteStream(sink)) },
  'sdk-fields': { amount: FIELDS, run: () => repeated(sealed) },
} as const;

process.on('message', (asked) => void measured(z.enum(['sdk-stream', 'sdk-stream-files', 'sdk-fields']).parse(asked)));
process.on('disconnect', () => process.exit(0));

async function measured(name: keyof typeof RUNS): Promise<void> {
  const { amount, run } = RUNS[name];
  const [begun, at] = [process.cpuUsage(), performance.now()];
  await run();
  const [{ user, system }, ms] = [process.cpuUsage(begun), performance.now() - at];
  process.send?.({ perCpuSecond: Math.round(amount / ((user + system) / 1e6)), perSecond: Math.round(amount / (ms / 1000)) });
}

function* chunks(): Generator<Buffer> {
  for (let chunk = 0; chunk < STREAM_CHUNKS; chunk++) yield CHUNK;
}

async function repeated(work: () => unknown): Promise<void> {
  for (let field = 0; field < FIELDS; field++) await work();
}

function sealedRaw(): Buffer {
  const iv = randomBytes(12);
  const cipher = createCipheriv('aes-256-gcm', key, iv);
  return Buffer.concat([iv, cipher.update(FIELD), cipher.final(), cipher.getAuthTag()]);
}
