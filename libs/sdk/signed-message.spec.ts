import { randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import { Envelope } from './envelope.js';
import { DecryptFailed, InvalidCall, KeywardError } from './errors.js';
import { parseHeader, SIGNER_NAME } from './message-header.js';
import { MessageKey } from './message-key.js';
import { MessageSigner } from './message-signature.js';
import { SealingStream } from './message-streams.js';
import { MemoryKeyward } from './testing/index.js';

const FRAME = 64;
const context = { purpose: 'invoice' };
const seals = { tenant: 'acme', keyId: 'alias/invoices', context, signed: true };
const opens = { tenant: 'acme', expectedContext: context, signed: true };
const plaintext = randomBytes(2 * FRAME + 10);

describe('a signed message', () => {
  const keyward = new MemoryKeyward();
  keyward.grant('acme', 'alias/invoices');
  const asked = jest.spyOn(keyward, 'generateDataKey');
  const envelope = new Envelope(keyward, { frameBytes: FRAME });
  let message: Buffer;
  beforeEach(async () => {
    asked.mockClear();
    message = Buffer.from(await envelope.encrypt(plaintext, seals));
  });
  const open = (bytes: Uint8Array) => envelope.decrypt(bytes, opens);

  it('opens; so it does for whoever does not ask for a signature', async () => {
    expect(Buffer.from(await open(message))).toEqual(plaintext);
    expect(Buffer.from(await envelope.decrypt(message, { ...opens, signed: false }))).toEqual(plaintext);
  });

  it('is wanted: one without a signature does not open', async () => {
    await expect(open(await envelope.encrypt(plaintext, { ...seals, signed: false }))).rejects.toBeInstanceOf(DecryptFailed);
  });

  it('has a data key of its own, bound to its public key', async () => {
    await envelope.encrypt(plaintext, seals);
    const signers = asked.mock.calls.map(([call]) => call.context?.['message-signer']);
    expect(new Set(signers).size).toBe(2);
    expect(signers[0]).toBe(parseHeader(message)?.header.context[SIGNER_NAME]);
  });

  it('does not open wherever a bit was flipped or it was cut', async () => {
    for (let at = 0; at < message.length; at++) {
      const changed = Buffer.from(message);
      changed[at]! ^= 1;
      await expect(open(changed)).rejects.toBeInstanceOf(KeywardError);
      await expect(envelope.decrypt(message.subarray(0, at), opens)).rejects.toBeInstanceOf(DecryptFailed);
    }
    await expect(open(Buffer.concat([message, Buffer.of(0)]))).rejects.toBeInstanceOf(DecryptFailed);
  });

  it.each([1, 1000])('keeps its last frame until the signature was checked, in pieces of %d bytes', async (size) => {
    const seen = async (bytes: Buffer) => {
      const out: Buffer[] = [];
      const pieces = Array.from({ length: Math.ceil(bytes.length / size) }, (_, i) => bytes.subarray(i * size, (i + 1) * size));
      const stream = Readable.from(pieces).pipe(envelope.decryptStream(opens));
      const failed = await (async () => {
        for await (const chunk of stream as AsyncIterable<Buffer>) out.push(chunk);
        return false;
      })().catch(() => true);
      return { failed, bytes: Buffer.concat(out) };
    };
    expect(await seen(message)).toEqual({ failed: false, bytes: plaintext });
    const forged = Buffer.from(message);
    forged[forged.length - 1]! ^= 1;
    for (const bad of [forged, message.subarray(0, -1)]) {
      const { failed, bytes } = await seen(bad);
      expect(failed).toBe(true);
      expect(plaintext.subarray(0, 2 * FRAME).subarray(0, bytes.length)).toEqual(bytes);
    }
  });

  it('cannot be made by a reader, who knows the data key of another one', async () => {
    const { header } = parseHeader(message)!;
    // What a reader learns: the data key, by opening the message as he may.
    const { plaintext: dataKey } = await keyward.decrypt({
      tenant: 'acme',
      ciphertext: header.encryptedDataKeys[0]!.ciphertext,
      context: { ...context, 'message-signer': header.context[SIGNER_NAME]! },
    });
    const forgery = async (name: string) => {
      const signer = new MessageSigner();
      const body = {
        ...header,
        messageId: randomBytes(32),
        context: { ...context, [SIGNER_NAME]: name === 'his' ? signer.publicKey : name },
      };
      const stream = new SealingStream(async () => ({ key: new MessageKey(dataKey, body), header: body, signer }));
      stream.end(Buffer.from('pay me'));
      return Buffer.concat(await stream.toArray());
    };
    await expect(open(await forgery('his'))).rejects.toBeInstanceOf(DecryptFailed);
    await expect(open(await forgery(header.context[SIGNER_NAME]!))).rejects.toBeInstanceOf(DecryptFailed);
  });

  it.each(['message-signer', 'aws-crypto-public-key'])('takes no %s from its caller', async (name) => {
    await expect(envelope.encrypt(plaintext, { ...seals, context: { ...context, [name]: 'x' } })).rejects.toBeInstanceOf(InvalidCall);
  });
});
