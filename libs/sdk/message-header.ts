import { canonicalContext, type EncryptionContext } from '#contract';
import { DecryptFailed } from './errors.js';

/** A data key as it stands in a message. Nothing of it is authenticated before the header's tag was checked. */
export interface EncryptedDataKey {
  readonly providerId: string;
  readonly providerInfo: string;
  readonly ciphertext: Uint8Array;
}
export interface MessageHeader {
  /** 32 random bytes: with the data key they give the message's own key. */
  readonly messageId: Uint8Array;
  readonly context: EncryptionContext;
  readonly encryptedDataKeys: readonly EncryptedDataKey[];
  /** Of plaintext in every frame but the last. */
  readonly frameBytes: number;
  /** 32 bytes, compared before anything is decrypted. */
  readonly commitment: Uint8Array;
}

/** In a header's context exactly where the message is signed: the public key of its signature. */
export const SIGNER_NAME = 'aws-crypto-public-key';
/** Message format 2 · AES-256-GCM, HKDF-SHA-512, key commitment; without a signature, and with one of ECDSA on P-384. */
const UNSIGNED_SUITE = Uint8Array.of(0x04, 0x78);
const SIGNED_SUITE = Uint8Array.of(0x05, 0x78);
/** The suite of a message with this context, 2 bytes. */
export const suiteOf = (context: EncryptionContext) => (Object.hasOwn(context, SIGNER_NAME) ? SIGNED_SUITE : UNSIGNED_SUITE);
export const MESSAGE_ID_BYTES = 32;
export const COMMITMENT_BYTES = 32;
/** What a message may make us hold: a frame is kept until its tag was checked. */
export const MAX_FRAME_BYTES = 16 * 1024 * 1024;

const FORMAT_VERSION = 2;
const FRAMED = 2;
/** A key and its spare. */
const MAX_ENCRYPTED_DATA_KEYS = 2;

/** One answer to everything that is wrong with a message, whatever it is. */
export const notAMessage = () => new DecryptFailed('The message does not open.', { code: 'decrypt-failed' });

/** The header without its tag, which authenticates exactly these bytes. */
export function headerBytes({ messageId, context, encryptedDataKeys, frameBytes, commitment }: MessageHeader): Buffer {
  const pairs = Object.keys(context).length;
  const keys = encryptedDataKeys.map(({ providerId, providerInfo, ciphertext }) =>
    Buffer.concat([prefixed(Buffer.from(providerId)), prefixed(Buffer.from(providerInfo)), prefixed(ciphertext)]),
  );
  const contextBytes = pairs === 0 ? [] : [u16(pairs), canonicalContext(context)];
  return Buffer.concat([
    ...[Uint8Array.of(FORMAT_VERSION), suiteOf(context), messageId, prefixed(Buffer.concat(contextBytes))],
    ...[u16(keys.length), ...keys, Uint8Array.of(FRAMED), u32(frameBytes), commitment],
  ]);
}

/**
 * The header that `bytes` begin with, and how long it is without its tag; undefined if its end has not come yet.
 * @throws DecryptFailed for what cannot become one: another format, suite or content type, or more than we would hold
 */
export function parseHeader(bytes: Buffer): { readonly header: MessageHeader; readonly length: number } | undefined {
  const source = new Cursor(bytes);
  try {
    const header = headerFrom(source);
    return { header, length: source.at };
  } catch (error) {
    if (error === INCOMPLETE) return undefined;
    throw error;
  }
}

const INCOMPLETE = new Error('more bytes are needed');

function headerFrom(source: Cursor): MessageHeader {
  requireThat(source.take(1)[0] === FORMAT_VERSION);
  const suite = source.take(2);
  requireThat(suite.equals(UNSIGNED_SUITE) || suite.equals(SIGNED_SUITE));
  const messageId = source.take(MESSAGE_ID_BYTES);
  const context = contextFrom(new Cursor(source.prefixed()));
  requireThat(suite.equals(suiteOf(context)));
  const count = source.u16();
  requireThat(count >= 1 && count <= MAX_ENCRYPTED_DATA_KEYS);
  const encryptedDataKeys = Array.from({ length: count }, () => ({
    ...{ providerId: source.text(), providerInfo: source.text() },
    ciphertext: source.prefixed(),
  }));
  requireThat(source.take(1)[0] === FRAMED);
  const frameBytes = source.u32();
  requireThat(frameBytes >= 1 && frameBytes <= MAX_FRAME_BYTES);
  return { messageId, context, encryptedDataKeys, frameBytes, commitment: source.take(COMMITMENT_BYTES) };
}

/** Whole, since its length stands in front of it: what is missing in here never comes. */
function contextFrom(source: Cursor): EncryptionContext {
  try {
    const count = source.isAtEnd ? 0 : source.u16();
    const pairs = Array.from({ length: count }, () => [source.text(), source.text()] as const);
    const context = Object.fromEntries(pairs);
    requireThat(source.isAtEnd && Object.keys(context).length === count);
    return context;
  } catch (error) {
    throw error === INCOMPLETE ? notAMessage() : error;
  }
}

function requireThat(fits: boolean): void {
  if (!fits) throw notAMessage();
}

class Cursor {
  at = 0;

  constructor(private readonly bytes: Buffer) {}

  get isAtEnd(): boolean {
    return this.at === this.bytes.length;
  }

  take(length: number): Buffer {
    if (this.at + length > this.bytes.length) throw INCOMPLETE;
    return this.bytes.subarray(this.at, (this.at += length));
  }

  u16(): number {
    return this.take(2).readUInt16BE();
  }

  u32(): number {
    return this.take(4).readUInt32BE();
  }

  prefixed(): Buffer {
    return this.take(this.u16());
  }

  /** Strict UTF-8: two spellings of one context would be two messages that mean the same. */
  text(): string {
    const bytes = this.prefixed();
    const text = bytes.toString('utf8');
    requireThat(Buffer.from(text).equals(bytes));
    return text;
  }
}

function u16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16BE(value);
  return bytes;
}

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

const prefixed = (bytes: Uint8Array): Buffer => Buffer.concat([u16(bytes.length), bytes]);
