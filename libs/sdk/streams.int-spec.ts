import { Readable, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { KeywardClient } from './client.js';
import { Envelope } from './envelope.js';
import { FakeDataPlane } from './test/fake-data-plane.js';

const MB = 1024 * 1024;
const SIZE = 256 * MB;

it('streams 256 MB through in constant memory', async () => {
  const fake = await FakeDataPlane.start();
  const client = new KeywardClient({ apiKey: 'kw_platform_x_y', url: fake.url });
  const envelope = new Envelope(client);
  const context = { purpose: 'invoice' };
  let most = 0;

  async function run(size: number): Promise<number> {
    let received = 0;
    const chunk = Buffer.alloc(64 * 1024, 'Keyward');
    const source = Readable.from(
      (function* () {
        for (let sent = 0; sent < size; sent += chunk.length) yield chunk;
      })(),
    );
    const sink = new Writable({
      write(bytes: Buffer, _encoding, done) {
        received += bytes.length;
        most = Math.max(most, process.memoryUsage.rss());
        done();
      },
    });
    await pipeline(
      source,
      envelope.encryptStream({ tenant: 'acme', keyId: 'alias/invoices', context }),
      envelope.decryptStream({ tenant: 'acme', expectedContext: context }),
      sink,
    );
    return received;
  }

  try {
    await run(64 * MB); // what the process grows to for any size: code, pools, the young heap
    const before = process.memoryUsage.rss();
    most = before;
    expect(await run(SIZE)).toBe(SIZE);
    expect((most - before) / MB).toBeLessThan(128);
  } finally {
    envelope.close();
    client.close();
    await fake.close();
  }
});
