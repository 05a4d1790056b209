import type { Duplex } from 'node:stream';
import { NodeCachingMaterialsManager } from '@aws-crypto/caching-materials-manager-node';
import { buildDecrypt } from '@aws-crypto/decrypt-node';
import { buildEncrypt } from '@aws-crypto/encrypt-node';
import {
  AlgorithmSuiteIdentifier,
  CommitmentPolicy,
  NodeDefaultCryptographicMaterialsManager,
  type NodeMaterialsManager,
} from '@aws-crypto/material-management-node';
import { type EncryptionContext, LONGEST_DATA_KEY_LEASE_MS } from '#contract';
import { DataKeyCache } from './data-key-cache.js';
import { DecryptFailed, InvalidCall, KeywardError } from './errors.js';
import { GuardedStream } from './guarded-stream.js';
import { type DataKeySource, KeywardKeyring } from './keyring.js';
import { type MessageShape, messageLength } from './message-length.js';
import { MessageMaterials } from './message-materials.js';
import { validContext } from './valid-context.js';

/** Committing: a message opens to one plaintext only, under one key only. Unsigned: who may seal may also open here. */
const SUITE = AlgorithmSuiteIdentifier.ALG_AES256_GCM_IV12_TAG16_HKDF_SHA512_COMMIT_KEY;
const CLIENT_OPTIONS = { commitmentPolicy: CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT, maxEncryptedDataKeys: 1 };
const { encryptStream } = buildEncrypt(CLIENT_OPTIONS);
const { decryptUnsignedMessageStream } = buildDecrypt(CLIENT_OPTIONS);

/** Memory per stream against speed: each frame is held whole until its tag has been checked. */
export const DEFAULT_FRAME_BYTES = 1024 * 1024;

export interface CacheLimits {
  /** A data key is used no longer than this, 300,000 at most. It also bounds how long a stop leaves this process able to work. */
  readonly maxAgeMs: number;
  /** Messages and bytes that one data key encrypts at most. */
  readonly maxMessages: number;
  readonly maxBytes: number;
  /** Data keys held at once, for encrypting and for decrypting. */
  readonly capacity: number;
}
export const DEFAULT_CACHE_LIMITS: CacheLimits = { maxAgeMs: 60_000, maxMessages: 1_000, maxBytes: 1024 ** 3, capacity: 1_000 };

export interface EnvelopeOptions {
  /** `false`: a call to Keyward for every message. */
  readonly cache?: false | Partial<CacheLimits>;
  readonly frameBytes?: number;
}

export interface SealScope {
  readonly tenant: string;
  /** A key's id or `alias/name`. */
  readonly keyId: string;
  /** Bound to the message and readable in it: no secrets. */
  readonly context: EncryptionContext;
}
export interface OpenScope {
  readonly tenant: string;
  /** Exactly the context that the message was sealed with, from where you know it: never read it from the message. */
  readonly expectedContext: EncryptionContext;
}

/**
 * Envelope encryption: data of any size under data keys that a tenant's key protects, as messages of the AWS Encryption SDK (format 2).
 *
 * Data keys are cached for `encrypt`, `decrypt` and `decryptStream`, separately for each tenant, key and context, no longer than the lease
 * of the tenant's grant says. **After a stop, this
 * process can go on with the data keys it holds for up to `maxAgeMs`** (`wipe()` ends that at once), and uses of a cached key have no
 * record of their own in the trail. `encryptStream` always takes a fresh one.
 *
 * Errors are `KeywardError`s; a message that is cut, changed, or of another tenant, key or context is a `DecryptFailed` (or a `Refused`
 * when Keyward says so).
 */
export class Envelope {
  readonly #source: DataKeySource;
  readonly #limits: CacheLimits | undefined;
  readonly #cache: DataKeyCache | undefined;
  readonly #frameBytes: number;
  #closed = false;

  constructor(source: DataKeySource, { cache = {}, frameBytes = DEFAULT_FRAME_BYTES }: EnvelopeOptions = {}) {
    this.#source = source;
    this.#limits = cache === false ? undefined : { ...DEFAULT_CACHE_LIMITS, ...cache };
    if (this.#limits !== undefined && !(this.#limits.maxAgeMs <= LONGEST_DATA_KEY_LEASE_MS))
      throw new RangeError(
        `cache.maxAgeMs must be at most ${LONGEST_DATA_KEY_LEASE_MS}: a stop's receipt promises that no data key is held longer.`,
      );
    this.#cache = this.#limits && new DataKeyCache(this.#limits.capacity, { ...this.#limits, maxUses: Number.POSITIVE_INFINITY });
    this.#frameBytes = frameBytes;
  }

  encrypt(plaintext: Uint8Array, scope: SealScope): Promise<Uint8Array> {
    // The length lets the library count the bytes of a cached data key; without it, it does not cache.
    return whole(() => this.#sealingStream(scope, plaintext.length), plaintext);
  }

  /** All of the plaintext, or nothing. */
  decrypt(message: Uint8Array, scope: OpenScope): Promise<Uint8Array> {
    return whole(() => this.decryptStream(scope), message);
  }

  /** Plaintext in, message out, in constant memory. @throws InvalidCall, at once, for a context that cannot be bound */
  encryptStream(scope: SealScope): Duplex {
    return this.#sealingStream(scope);
  }

  /**
   * Message in, plaintext out, in constant memory. Plaintext comes frame by frame, each verified; **it is complete only when the stream
   * ends without an error**, so do not act on it before (a cut message shows at its end). Use `stream.pipeline`.
   */
  decryptStream({ tenant, expectedContext }: OpenScope): Duplex {
    const cached = this.#cached(new KeywardKeyring(this.#source, { tenant }), ['open', tenant]);
    const materials = new MessageMaterials(cached, validContext(expectedContext));
    const inner = decryptUnsignedMessageStream(materials);
    let shape: MessageShape | undefined;
    inner.once('MessageHeader', (header: MessageShape) => {
      shape = header;
    });
    const beforeEnd = (bytesIn: number, bytesOut: number) => {
      if (shape === undefined || bytesIn !== messageLength(shape, bytesOut)) throw new Error('Bytes after the final frame.');
    };
    return new GuardedStream(inner, { translate: asDecryptFailure, beforeEnd, release: () => materials.wipe() });
  }

  /** Wipes every cached data key; the next call asks Keyward again. */
  wipe(): void {
    this.#cache?.wipe();
  }

  /** Wipes, and refuses every later call. */
  close(): void {
    this.#closed = true;
    this.#cache?.close();
  }

  #sealingStream({ tenant, keyId, context }: SealScope, plaintextLength?: number): Duplex {
    const cached = this.#cached(new KeywardKeyring(this.#source, { tenant, keyId }), ['seal', tenant, keyId]);
    const materials = new MessageMaterials(cached);
    const options = { suiteId: SUITE, encryptionContext: { ...validContext(context) }, frameLength: this.#frameBytes };
    const inner = encryptStream(materials, plaintextLength === undefined ? options : { ...options, plaintextLength });
    return new GuardedStream(inner, { translate: asError, release: () => materials.wipe() });
  }

  /** The library adds the context, and when opening the encrypted data key itself, to what tells one cached key from another. */
  #cached(keyring: KeywardKeyring, partition: readonly string[]): NodeMaterialsManager {
    if (this.#closed) throw new InvalidCall('This Envelope is closed.', { code: 'invalid-request' });
    if (!this.#limits || !this.#cache) return new NodeDefaultCryptographicMaterialsManager(keyring);
    return new NodeCachingMaterialsManager({
      backingMaterials: keyring,
      cache: this.#cache,
      maxAge: this.#limits.maxAgeMs,
      maxMessagesEncrypted: this.#limits.maxMessages,
      maxBytesEncrypted: this.#limits.maxBytes,
      partition: JSON.stringify(partition), // quoted, so that no tenant's name can look like another's name and key
    });
  }
}

/** `input` through a stream, all or nothing: what came before a failure is wiped. */
async function whole(open: () => Duplex, input: Uint8Array): Promise<Uint8Array> {
  const chunks: Buffer[] = [];
  try {
    const stream = open();
    stream.end(input);
    for await (const chunk of stream as AsyncIterable<Buffer>) chunks.push(chunk);
    return Buffer.concat(chunks);
  } finally {
    for (const chunk of chunks) chunk.fill(0);
  }
}

const asError = (cause: unknown): Error => (cause instanceof Error ? cause : new Error('Encryption failed.', { cause }));

const asDecryptFailure = (cause: unknown): Error =>
  cause instanceof KeywardError ? cause : new DecryptFailed('The message does not open.', { code: 'decrypt-failed', cause });
