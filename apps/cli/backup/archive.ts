import { createHash, createPrivateKey, createPublicKey, type KeyObject, randomBytes } from 'node:crypto';
import { createReadStream, createWriteStream, readFileSync, renameSync, rmSync, statSync } from 'node:fs';
import { Readable, type Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { canonicalContext, type EncryptionContext, recipientKindOf } from '#contract';
import { openAsRecipient, sealerTo } from '#contract/hpke';
import { DecryptFailed } from '#sdk';
import { MESSAGE_ID_BYTES, type MessageHeader, MessageKey, OpeningStream, SealingStream } from '#sdk/message';
import { refuseExisting, refuseOpenFile } from '../credentials-file.js';
import { UsageError } from '../exit-codes.js';
import { Progress } from '../progress.js';
import { type Item, readItems, type ReadItem, writtenItems } from './items.js';

/** Who alone can open an archive: a public key of X25519 or P-256, SubjectPublicKeyInfo in DER. */
export type Recipient = Uint8Array;

const PROVIDER = 'keyward-backup';
const LABEL = Buffer.from('keyward backup v1\0');
const FRAME_BYTES = 1024 * 1024;
const DATA_KEY_BYTES = 32;

/** @throws UsageError for a file that holds no such key */
export function recipientFrom(file: string): Recipient {
  const key = keyFrom(file, (pem) => createPublicKey(pem));
  if (key.type !== 'public' || readFileSync(file, 'utf8').includes('PRIVATE KEY'))
    throw new UsageError(`${file} holds a private key: give the public one, and keep this one away from the host.`);
  const spki = new Uint8Array(key.export({ format: 'der', type: 'spki' }));
  if (recipientKindOf(spki) === undefined) throw new UsageError(`${file} is not a public key of X25519 or P-256.`);
  return spki;
}

/** PEM, encrypted under `passphrase` or not. @throws UsageError for a file that holds no such key, or that others can read */
export function identityFrom(file: string, passphrase: string | undefined): KeyObject {
  refuseOpenFile(file);
  const key = keyFrom(file, (pem) => createPrivateKey({ key: pem, ...(passphrase !== undefined && { passphrase }) }));
  if (recipientKindOf(spkiOf(key)) === undefined) throw new UsageError(`${file} is not a private key of X25519 or P-256.`);
  return key;
}

/**
 * Writes an archive, whole or not at all: a message of the AWS Encryption SDK's format (docs/formats.md), whose data key is sealed to each
 * recipient by HPKE. `context` stands readable in it, and is bound. Answers its length and SHA-256.
 */
export async function sealArchive(
  file: string,
  recipients: readonly Recipient[],
  context: EncryptionContext,
  items: AsyncIterable<Item>,
  { talk, expectedBytes }: { readonly talk: Writable; readonly expectedBytes: number | undefined },
): Promise<{ readonly bytes: number; readonly sha256: string }> {
  refuseExisting(file);
  const aside = `${file}.part`;
  const hash = createHash('sha256');
  const progress = new Progress(talk, expectedBytes);
  const hashed = async function* (source: AsyncIterable<Uint8Array>) {
    for await (const chunk of source) {
      hash.update(chunk);
      yield chunk;
    }
  };
  try {
    const sink = createWriteStream(aside, { mode: 0o600, flags: 'wx', flush: true });
    await pipeline(Readable.from(writtenItems(items)), sealing(recipients, context), progress, hashed, sink);
    renameSync(aside, file);
  } catch (error) {
    rmSync(aside, { force: true });
    throw error;
  }
  return { bytes: progress.bytes, sha256: hash.digest('hex') };
}

export interface OpenArchive {
  readonly context: EncryptionContext;
  readonly first: ReadItem;
  /** The items behind the first. */
  readonly rest: AsyncIterable<ReadItem>;
}

/**
 * Reads an archive, to its end. What `read` sees is authenticated frame by frame, and is all of it only when this resolves.
 * @throws UsageError for an archive of other recipients, DecryptFailed for one that was changed or cut
 */
export async function openArchive<Answer>(
  file: string,
  identities: readonly KeyObject[],
  read: (archive: OpenArchive) => Promise<Answer>,
  talk: Writable,
): Promise<Answer> {
  let context: EncryptionContext = {};
  const opening = new OpeningStream(async (header) => {
    ({ context } = header);
    return { key: openedKey(file, header, identities) };
  });
  const progress = new Progress(talk, sizeOf(file));
  let answer: Answer | undefined;
  try {
    await pipeline(createReadStream(file), progress, opening, async (source) => {
      const items = readItems(source);
      const first = await items.next();
      if (first.done === true) throw new UsageError(`${file} is empty.`);
      answer = await read({ context, first: first.value, rest: items });
    });
  } catch (error) {
    if (!(error instanceof DecryptFailed)) throw error;
    throw new DecryptFailed(`${file} does not open: it was changed or cut, or is no archive of Keyward.`, {
      code: 'decrypt-failed',
      cause: error,
    });
  }
  return answer!;
}

function sealing(recipients: readonly Recipient[], context: EncryptionContext): SealingStream {
  return new SealingStream(async () => {
    const [messageId, dataKey] = [randomBytes(MESSAGE_ID_BYTES), randomBytes(DATA_KEY_BYTES)];
    try {
      const encryptedDataKeys = recipients.map((spki) => ({
        ...{ providerId: PROVIDER, providerInfo: fingerprint(spki) },
        ciphertext: sealerTo(spki)(dataKey, boundTo(messageId, context)),
      }));
      return {
        key: new MessageKey(dataKey, { messageId, context }),
        header: { messageId, context, encryptedDataKeys, frameBytes: FRAME_BYTES },
      };
    } finally {
      dataKey.fill(0);
    }
  });
}

function openedKey(file: string, header: MessageHeader, identities: readonly KeyObject[]): MessageKey {
  for (const identity of identities) {
    const name = fingerprint(spkiOf(identity));
    const ours = header.encryptedDataKeys.find(({ providerId, providerInfo }) => providerId === PROVIDER && providerInfo === name);
    if (ours === undefined) continue;
    const dataKey = openedBy(identity, ours.ciphertext, header);
    try {
      return new MessageKey(dataKey, header);
    } finally {
      dataKey.fill(0);
    }
  }
  const wanted = header.encryptedDataKeys.map(({ providerInfo }) => providerInfo).join(', ');
  throw new UsageError(`${file} was sealed to ${wanted}: --identity is another key.`);
}

function openedBy(identity: KeyObject, ciphertext: Uint8Array, { messageId, context }: MessageHeader): Buffer {
  try {
    return openAsRecipient(identity, ciphertext, boundTo(messageId, context));
  } catch (cause) {
    throw new DecryptFailed('The data key does not open.', { code: 'decrypt-failed', cause });
  }
}

const boundTo = (messageId: Uint8Array, context: EncryptionContext) => Buffer.concat([LABEL, messageId, canonicalContext(context)]);
/** Of a public key: what an archive says of whom it is for. */
const fingerprint = (spki: Uint8Array) => createHash('sha256').update(spki).digest('hex').slice(0, 32);
const spkiOf = (key: KeyObject) => new Uint8Array(createPublicKey(key).export({ format: 'der', type: 'spki' }));

function keyFrom(file: string, read: (pem: string) => KeyObject): KeyObject {
  try {
    return read(readFileSync(file, 'utf8'));
  } catch {
    throw new UsageError(`${file} is not a key in PEM that can be read (is there a passphrase?).`);
  }
}

function sizeOf(file: string): number {
  const stat = statSync(file, { throwIfNoEntry: false });
  if (stat === undefined) throw new UsageError(`There is no file ${file}.`);
  return stat.size;
}
