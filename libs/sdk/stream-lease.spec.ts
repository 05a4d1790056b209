import { once } from 'node:events';
import type { Duplex } from 'node:stream';
import { Envelope } from './envelope.js';
import { Stopped } from './errors.js';
import { MemoryKeyward } from './testing/index.js';

const FRAME_BYTES = 64;
const FRAME = Buffer.alloc(FRAME_BYTES, 'Keyward');
const seals = { tenant: 'acme', keyId: 'alias/invoices', context: {} };
const opens = { tenant: 'acme', expectedContext: {} };

describe('a stream that runs', () => {
  let memory: MemoryKeyward;
  let envelope: Envelope;
  let message: Buffer;
  beforeEach(async () => {
    memory = new MemoryKeyward();
    memory.grant('acme', 'alias/invoices');
    envelope = new Envelope(memory, { frameBytes: FRAME_BYTES });
    message = Buffer.from(await envelope.encrypt(Buffer.concat([FRAME, FRAME, FRAME, FRAME]), seals));
  });
  afterEach(() => envelope.close());

  /** A stream of either kind after its first frames have come out, what else comes, and a second half for it. */
  async function half(kind: 'encryptStream' | 'decryptStream', from = envelope) {
    const stream: Duplex = kind === 'encryptStream' ? from.encryptStream(seals) : from.decryptStream(opens);
    const input = kind === 'encryptStream' ? Buffer.concat([FRAME, FRAME, FRAME]) : message;
    const at = input.length - FRAME_BYTES - 10;
    stream.write(input.subarray(0, at));
    await once(stream, 'readable');
    let bytes = 0;
    stream.on('data', (chunk: Buffer) => (bytes += chunk.length));
    await new Promise(setImmediate);
    return { stream, rest: input.subarray(at), passed: () => bytes };
  }

  describe.each(['encryptStream', 'decryptStream'] as const)('%s', (kind) => {
    it('ends with `stopped` when its keys are wiped after a stop, and nothing more comes out', async () => {
      const { stream, rest, passed } = await half(kind);
      memory.stop('acme');
      envelope.wipe('acme');
      stream.write(rest);
      const before = passed();
      await expect(once(stream, 'end')).rejects.toThrow(Stopped);
      expect(passed()).toBe(before);
    });

    it('ends although nobody writes or reads', async () => {
      const { stream } = await half(kind);
      stream.pause();
      memory.stop('acme');
      envelope.wipe();
      await expect(once(stream, 'end')).rejects.toThrow(Stopped);
    });

    it('goes on when only the rules of others have changed: nobody has asked', async () => {
      const { stream, rest } = await half(kind);
      memory.stop('acme');
      envelope.wipe('globex');
      stream.end(rest);
      await once(stream, 'end');
    });

    it('goes on where Keyward still allows it', async () => {
      const asked = jest.spyOn(memory, kind === 'encryptStream' ? 'generateDataKey' : 'decrypt');
      const { stream, rest } = await half(kind);
      envelope.wipe('acme');
      stream.end(rest);
      await once(stream, 'end');
      expect(asked).toHaveBeenCalledTimes(2);
      envelope.wipe('acme');
      expect(asked).toHaveBeenCalledTimes(2);
    });

    it('asks again when its lease is over', async () => {
      const { stream } = await half(kind, new Envelope(memory, { frameBytes: FRAME_BYTES, cache: { maxAgeMs: 30 } }));
      memory.stop('acme');
      await expect(once(stream, 'end')).rejects.toThrow(Stopped);
    });

    it('asks again when the rules changed while its key was on the way', async () => {
      const method = kind === 'encryptStream' ? 'generateDataKey' : 'decrypt';
      const original = memory[method].bind(memory) as (call: never) => Promise<never>;
      let deliver: () => void = () => undefined;
      const delivered = new Promise<void>((resolve) => (deliver = resolve));
      jest.spyOn(memory, method).mockImplementationOnce(async (call) => {
        const key = await original(call as never);
        await delivered;
        return key;
      });
      const stream = kind === 'encryptStream' ? envelope.encryptStream(seals) : envelope.decryptStream(opens);
      const ended = once(stream.resume(), 'end');
      stream.end(message);
      await new Promise(setImmediate);
      memory.stop('acme');
      envelope.wipe('acme');
      deliver();
      await expect(ended).rejects.toThrow(Stopped);
    });
  });

  it('waits for the answer to the latest change: an older one may not know of it', async () => {
    const { stream, rest } = await half('decryptStream');
    envelope.wipe('acme');
    memory.stop('acme');
    envelope.wipe('acme');
    stream.end(rest);
    await expect(once(stream, 'end')).rejects.toThrow(Stopped);
  });
});
