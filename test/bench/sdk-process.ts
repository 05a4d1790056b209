import { createCipheriv, createSecretKey, randomBytes } from 'node:crypto';
import { Readable, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { Envelope, Fields, KeywardClient } from '#sdk';

/**
 * A service of the ISV's: nothing but the SDK in a process of its own, so that what a run leaves to the garbage collector costs what it
 * costs there. Prints a JSON line for each pair of runs: `{name, value, baseline}`, amounts a second of this process's CPU, user and system.
 */
const { SERVICE_KEY: apiKey = '', USES: url = '', SCOPE: scopeText = '{}' } = process.env;
const scope = JSON.parse(scopeText) as { tenant: string; keyId: string; context: Record<string, string> };

const PAIRS = 15;
/** As files and sockets are read. */
const CHUNK = randomBytes(64 * 1024);
const STREAM_MB = 256;
const STREAM_CHUNKS = (STREAM_MB * 1024 * 1024) / CHUNK.length;
const FIELD = randomBytes(64);
const FIELDS = 100_000;

const client = new KeywardClient({ apiKey, url });
const envelope = new Envelope(client);
const bound = new Fields(client).of(scope);
const key = createSecretKey(randomBytes(32));

await compared('sdk-stream', STREAM_MB, {
  ours: () => streamed(envelope.encryptStream(scope)),
  raw: () => streamed(createCipheriv('aes-256-gcm', key, randomBytes(12))),
});
await compared('sdk-fields', FIELDS, {
  ours: () => repeated(() => bound.encrypt(FIELD)),
  raw: () => repeated(sealedRaw),
});
client.close();

/** Each run once to warm up, then in turns. */
async function compared(name: string, amount: number, run: Readonly<Record<'ours' | 'raw', () => Promise<void>>>): Promise<void> {
  const perSecond = async (which: 'ours' | 'raw') => {
    const begun = process.cpuUsage();
    await run[which]();
    const { user, system } = process.cpuUsage(begun);
    return Math.round(amount / ((user + system) / 1e6));
  };
  await perSecond('raw');
  await perSecond('ours');
  for (let pair = 1; pair <= PAIRS; pair++) {
    const baseline = await perSecond('raw');
    process.stdout.write(`${JSON.stringify({ name, value: await perSecond('ours'), baseline })}\n`);
  }
}

async function streamed(through: NodeJS.ReadWriteStream): Promise<void> {
  await pipeline(Readable.from(chunks()), through, new Writable({ write: (_chunk, _encoding, done) => done() }));
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
