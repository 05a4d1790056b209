import { randomBytes } from 'node:crypto';
import type { Duplex } from 'node:stream';
import { boundContext, type EncryptionContext, type Justification, type Lease } from '#contract';
import { requireLease } from './cache-limits.js';
import { type EnvelopeKey, type EnvelopeSource, newEnvelopeKey, openedEnvelopeKey, type OpeningScope } from './envelope-key.js';
import { DecryptFailed, InvalidCall } from './errors.js';
import { plaintextBytes } from './frame-writer.js';
import { HeldKeys, type KeyWanted } from './held-keys.js';
import { MAX_FRAME_BYTES, MESSAGE_ID_BYTES, type MessageHeader, notAMessage, SIGNER_NAME } from './message-header.js';
import { MessageKey } from './message-key.js';
import { boundTo, MessageSigner } from './message-signature.js';
import { type KeyOfStream, OpeningStream, type Sealing, SealingStream } from './message-streams.js';
import { StreamLease } from './stream-lease.js';
import { validContext } from './valid-context.js';

/** Memory per stream against speed: each frame is held whole until its tag has been checked. */
export const DEFAULT_FRAME_BYTES = 1024 * 1024;

export interface CacheLimits {
  /** A data key is used no longer than this, 300,000 at most. It also bounds how long a stop leaves this process able to work. */
  readonly maxAgeMs: number;
  /** Messages and bytes that one data key encrypts at most. */
  readonly maxMessages: number;
  readonly maxBytes: number;
  /** Data keys held at once. */
  readonly capacity: number;
}
export const DEFAULT_CACHE_LIMITS: CacheLimits = { maxAgeMs: 60_000, maxMessages: 1_000, maxBytes: 1024 ** 3, capacity: 1_000 };

export interface EnvelopeOptions {
  /** `false`: a call to Keyward for every message. */
  readonly cache?: false | Partial<CacheLimits>;
  /** At most 16 MiB. */
  readonly frameBytes?: number;
}

export interface SealScope {
  readonly tenant: string;
  /** A key's id or `alias/name`. */
  readonly keyId: string;
  /** A second key that opens the message too, should the first be gone or away. It needs a grant for Encrypt. */
  readonly spareKeyId?: string | undefined;
  /** Bound to the message and readable in it: no secrets. */
  readonly context: EncryptionContext;
  /** Why: some grants ask for it, and the tenant's trail keeps it. */
  readonly justification?: Justification | undefined;
  /**
   * Signed by a key that is made for this message, so that whoever may only open messages cannot make one. Its data key is bound to
   * `context` and the pair `message-signer` (a grant on the context must allow that), and is never shared.
   */
  readonly signed?: boolean | undefined;
}
export interface OpenScope {
  readonly tenant: string;
  /** Exactly the context that the message was sealed with, from where you know it: never read it from the message. */
  readonly expectedContext: EncryptionContext;
  readonly justification?: Justification | undefined;
  /** True: refuse what is not signed. A signature that is there is checked anyway. */
  readonly signed?: boolean | undefined;
}

/**
 * Envelope encryption: data of any size under data keys that a tenant's key protects, as messages of the AWS Encryption SDK (format 2,
 * committing; unsigned unless `signed` says otherwise).
 *
 * Data keys are cached for `encrypt` and `decrypt`, separately for each tenant, key and context, no longer than the lease of the tenant's
 * grant says. **After a stop, this process can go on with the data keys it holds for up to `maxAgeMs`** (`wipe()` ends that at once), and
 * uses of a cached key have no record of their own in the trail. Streams always ask: nobody knows yet how much of a lease they would use.
 * One that runs asks again when its lease is over, and at each `wipe`: a refusal ends it before its next byte.
 *
 * Errors are `KeywardError`s; a message that is cut, changed, or of another tenant, key or context is a `DecryptFailed` (or a `Refused`
 * when Keyward says so).
 */
export class Envelope {
  readonly #source: EnvelopeSource;
  readonly #keys: HeldKeys<EnvelopeKey> | undefined;
  readonly #frameBytes: number;
  readonly #maxAgeMs: number;
  /** Of the streams that run. */
  readonly #leases = new Set<StreamLease>();
  #closed = false;

  /** @throws RangeError for frames that nobody would read, or a data key that would be held longer than a stop's receipt promises */
  constructor(source: EnvelopeSource, { cache = {}, frameBytes = DEFAULT_FRAME_BYTES }: EnvelopeOptions = {}) {
    if (!(Number.isSafeInteger(frameBytes) && frameBytes >= 1 && frameBytes <= MAX_FRAME_BYTES))
      throw new RangeError(`frameBytes must be 1 to ${MAX_FRAME_BYTES}.`);
    this.#source = source;
    this.#frameBytes = frameBytes;
    const { maxMessages, capacity, ...limits } = { ...DEFAULT_CACHE_LIMITS, ...cache };
    requireLease(limits.maxAgeMs, capacity);
    this.#maxAgeMs = limits.maxAgeMs;
    if (cache !== false) this.#keys = new HeldKeys({ ...limits, maxUses: maxMessages }, capacity);
  }

  encrypt(plaintext: Uint8Array, scope: SealScope): Promise<Uint8Array> {
    return whole(() => this.#sealingStream(scope, plaintext.length), plaintext);
  }

  /** All of the plaintext, or nothing. */
  decrypt(message: Uint8Array, scope: OpenScope): Promise<Uint8Array> {
    return whole(() => this.#openingStream(scope, message.length), message);
  }

  /** Plaintext in, message out, in constant memory. @throws InvalidCall, at once, for a context that cannot be bound */
  encryptStream(scope: SealScope): Duplex {
    return this.#sealingStream(scope, undefined);
  }

  /**
   * Message in, plaintext out, in constant memory. Plaintext comes frame by frame, each verified; **it is complete only when the stream
   * ends without an error**, so do not act on it before (a cut message shows at its end). Use `stream.pipeline`.
   */
  decryptStream(scope: OpenScope): Duplex {
    return this.#openingStream(scope, undefined);
  }

  /**
   * Wipes the data keys that are held, of one tenant or of all; the next call asks Keyward again, and so does each stream that runs, before
   * its next byte.
   */
  wipe(tenant?: string): void {
    this.#keys?.wipe(tenant);
    for (const lease of this.#leases) if (tenant === undefined || lease.tenant === tenant) lease.ask();
  }

  /** Wipes, and refuses every later call. */
  close(): void {
    this.#closed = true;
    this.#keys?.close();
  }

  /** `length` of a message that is whole, and may share a data key unless it is signed. */
  #openingStream({ expectedContext, signed = false, ...scope }: OpenScope, length: number | undefined): Duplex {
    this.#requireOpen();
    const context = validContext(expectedContext);
    return new OpeningStream(async (header, headerBytes) => {
      const isSigned = Object.hasOwn(header.context, SIGNER_NAME);
      if (signed && !isSigned) throw new DecryptFailed('The message is not signed.', { code: 'decrypt-failed' });
      const bytes = length === undefined || isSigned ? undefined : plaintextBytes(length - headerBytes, header.frameBytes);
      return await this.#openingKey({ ...scope, context }, header, bytes);
    });
  }

  /** `length` of what is small enough to share a data key. */
  #sealingStream(scope: SealScope, length: number | undefined): Duplex {
    this.#requireOpen();
    const context = validContext(scope.context);
    const { tenant, keyId, spareKeyId, justification } = scope;
    const signer = scope.signed === true ? new MessageSigner() : undefined;
    const name = JSON.stringify(['seal', boundName(tenant, context), keyId, spareKeyId, justification]);
    const load = () =>
      newEnvelopeKey(this.#source, { tenant, keyId, spareKeyId, justification, context: boundTo(context, signer?.publicKey) });
    const begin = ({ plaintext, encryptedDataKeys }: EnvelopeKey): Sealing => {
      const messageId = randomBytes(MESSAGE_ID_BYTES);
      const shown = signer === undefined ? context : { ...context, [SIGNER_NAME]: signer.publicKey };
      const header = { messageId, context: shown, encryptedDataKeys, frameBytes: this.#frameBytes };
      return { key: new MessageKey(plaintext, header), header, signer };
    };
    const wanted = { name, tenant, bytes: length ?? 0, load };
    const keys = length === undefined || signer !== undefined ? undefined : this.#keys;
    return new SealingStream(() => this.#withKey(keys, wanted, begin));
  }

  /**
   * Compared before a data key is asked for or taken from the cache, so a message that was moved from one row to another opens nowhere. (The
   * header's context is a claim at this point; the data key and the header's tag prove it before any plaintext.)
   */
  async #openingKey(scope: OpeningScope, header: MessageHeader, bytes: number | undefined): Promise<KeyOfStream> {
    const { tenant, context, justification } = scope;
    const { [SIGNER_NAME]: signer, ...callers } = header.context;
    if (!sameContext(callers, context)) throw notAMessage();
    const keys = header.encryptedDataKeys.map(({ providerId, providerInfo, ciphertext }) => [
      ...[providerId, providerInfo],
      Buffer.from(ciphertext).toString('base64'),
    ]);
    const name = JSON.stringify(['open', boundName(tenant, context), keys, justification]);
    const load = () => openedEnvelopeKey(this.#source, { ...scope, context: boundTo(context, signer) }, header.encryptedDataKeys);
    return await this.#withKey(
      bytes === undefined ? undefined : this.#keys,
      { name, tenant, bytes: bytes ?? 0, load },
      ({ plaintext }) => ({ key: new MessageKey(plaintext, header) }),
    );
  }

  /** The message's key, of a data key that is held or of one of its own. */
  async #withKey<Answer extends KeyOfStream>(
    keys: HeldKeys<EnvelopeKey> | undefined,
    wanted: KeyWanted<EnvelopeKey>,
    use: (key: EnvelopeKey) => Answer,
  ): Promise<Answer> {
    if (keys !== undefined) return await keys.use(wanted, use);
    const { tenant, load } = wanted;
    // Before the first call already: what changes under it is asked about too.
    const lease = new StreamLease(tenant, this.#maxAgeMs, () => leaseOfNext(load), this.#leases);
    try {
      return { ...(await this.#withOwnKey(load, lease, use)), lease };
    } catch (error) {
      lease.end();
      throw error;
    }
  }

  async #withOwnKey<Answer>(load: KeyWanted<EnvelopeKey>['load'], lease: StreamLease, use: (key: EnvelopeKey) => Answer): Promise<Answer> {
    const askedAt = Date.now();
    const { key, lease: granted } = await load();
    try {
      this.#requireOpen();
      lease.begin(askedAt, granted);
      return use(key);
    } finally {
      key.wipe();
    }
  }

  #requireOpen(): void {
    if (this.#closed) throw new InvalidCall('This Envelope is closed.', { code: 'invalid-request' });
  }
}

const boundName = (tenant: string, context: EncryptionContext) => Buffer.from(boundContext(tenant, context)).toString('base64');

async function leaseOfNext(load: KeyWanted<EnvelopeKey>['load']): Promise<Lease | undefined> {
  const { key, lease } = await load();
  key.wipe();
  return lease;
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

function sameContext(given: EncryptionContext, expected: EncryptionContext): boolean {
  const names = Object.keys(expected);
  return Object.keys(given).length === names.length && names.every((name) => Object.hasOwn(given, name) && given[name] === expected[name]);
}
