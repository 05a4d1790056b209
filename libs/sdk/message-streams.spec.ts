import { type Duplex, Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { setImmediate as turn } from 'node:timers/promises';
import { Envelope } from './envelope.js';
import { MemoryKeyward } from './testing/index.js';

const FRAME_BYTES = 256 * 1024;
const CHUNK = Buffer.alloc(16 * 1024, 'Keyward');
const CHUNKS = 8 * (FRAME_BYTES / CHUNK.length);

describe('a slow reader', () => {
  const memory = new MemoryKeyward();
  memory.grant('acme', 'alias/invoices');
  const envelope = new Envelope(memory, { frameBytes: FRAME_BYTES });
  const seals = { tenant: 'acme', keyId: 'alias/invoices', context: {} };
  const opens = { tenant: 'acme', expectedContext: {} };

  /** The most that went into `stream` and had not come out. */
  async function mostWithin(chunks: Iterable<Buffer>, stream: Duplex): Promise<number> {
    let [within, most] = [0, 0];
    const counted = function* () {
      for (const chunk of chunks) {
        within += chunk.length;
        most = Math.max(most, within);
        yield chunk;
      }
    };
    await pipeline(Readable.from(counted()), stream, async (out: AsyncIterable<Buffer>) => {
      for await (const chunk of out) {
        within -= chunk.length;
        for (let turns = 0; turns < 10; turns++) await turn();
      }
    });
    return most;
  }

  it('makes sealing wait: a frame that is being made, one that is not read yet, and what node buffers', async () => {
    expect(await mostWithin(Array(CHUNKS).fill(CHUNK), envelope.encryptStream(seals))).toBeLessThan(3 * FRAME_BYTES);
  });

  it('makes opening wait', async () => {
    const message = Buffer.from(await envelope.encrypt(Buffer.concat(Array(CHUNKS).fill(CHUNK)), seals));
    const pieces = Array.from({ length: Math.ceil(message.length / CHUNK.length) }, (_, i) =>
      message.subarray(i * CHUNK.length, (i + 1) * CHUNK.length),
    );
    expect(await mostWithin(pieces, envelope.decryptStream(opens))).toBeLessThan(3 * FRAME_BYTES);
  });
});
