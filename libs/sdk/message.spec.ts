import { readFileSync } from 'node:fs';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { DecryptFailed } from './errors.js';
import type { EncryptedDataKey } from './message-header.js';
import { MAX_FRAME_BYTES, parseHeader } from './message-header.js';
import { MessageKey } from './message-key.js';
import { OpeningStream, SealingStream } from './message-streams.js';

interface Vector {
  readonly desc: string;
  readonly dataKey: string;
  readonly messageId: string;
  readonly context: Record<string, string>;
  readonly encryptedDataKeys: readonly (Omit<EncryptedDataKey, 'ciphertext'> & { readonly ciphertext: string })[];
  readonly frameBytes: number;
  readonly plaintext: string;
  readonly want: string;
}
/** Made by the AWS Encryption SDK: a signature is random, so they are only read. */
const signedVectors = JSON.parse(readFileSync('test/vectors/message-v2-signed.json', 'utf8')) as Pick<
  Vector,
  'desc' | 'dataKey' | 'context' | 'plaintext' | 'want'
>[];
const vectors = JSON.parse(readFileSync('test/vectors/message-v2.json', 'utf8')) as Vector[];
const hex = (text: string) => Buffer.from(text, 'hex');
const through = (bytes: Buffer, stream: NodeJS.ReadWriteStream) => buffer(Readable.from(bytes.length === 0 ? [] : [bytes]).pipe(stream));

function sealing({ dataKey, messageId, context, frameBytes, encryptedDataKeys }: Vector): SealingStream {
  const keys = encryptedDataKeys.map(({ ciphertext, ...key }) => ({ ...key, ciphertext: hex(ciphertext) }));
  const header = { messageId: hex(messageId), context, frameBytes, encryptedDataKeys: keys };
  return new SealingStream(async () => ({ key: new MessageKey(hex(dataKey), header), header }));
}
const opening = (dataKey: Buffer) => new OpeningStream(async (header) => ({ key: new MessageKey(dataKey, header) }));

describe('a message', () => {
  it.each(vectors)('is written and read: $desc', async (vector) => {
    expect((await through(hex(vector.plaintext), sealing(vector))).toString('hex')).toBe(vector.want);
    expect((await through(hex(vector.want), opening(hex(vector.dataKey)))).toString('hex')).toBe(vector.plaintext);
    expect({ ...parseHeader(hex(vector.want))?.header.context }).toEqual(vector.context);
  });

  it.each(signedVectors)('is read: $desc', async ({ want, dataKey, plaintext, context }) => {
    expect((await through(hex(want), opening(hex(dataKey)))).toString('hex')).toBe(plaintext);
    expect(parseHeader(hex(want))?.header.context).toEqual({ ...context, 'aws-crypto-public-key': expect.any(String) });
    const forged = hex(want);
    forged[forged.length - 1]! ^= 1;
    await expect(through(forged, opening(hex(dataKey)))).rejects.toBeInstanceOf(DecryptFailed);
  });

  it('opens under no other data key: the commitment is compared first', async () => {
    await expect(through(hex(vectors[0]!.want), opening(Buffer.alloc(32, 9)))).rejects.toBeInstanceOf(DecryptFailed);
  });

  it('may not make its reader hold more than a frame, or wait for a header that never ends', async () => {
    const { want, dataKey } = vectors[0]!;
    const { length } = parseHeader(hex(want))!;
    const greedy = hex(want);
    greedy.writeUInt32BE(MAX_FRAME_BYTES + 1, length - 36);
    expect(() => parseHeader(greedy)).toThrow(DecryptFailed);
    // 65,535 bytes of context, in which one pair says that it is longer.
    const endless = Buffer.concat([hex(want).subarray(0, 35), Buffer.from([255, 255, 0, 1, 255, 255]), Buffer.alloc(70_000)]);
    await expect(through(endless, opening(hex(dataKey)))).rejects.toBeInstanceOf(DecryptFailed);
  });
});
