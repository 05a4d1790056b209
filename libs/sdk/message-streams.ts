import { timingSafeEqual } from 'node:crypto';
import { Transform, type TransformCallback } from 'node:stream';
import { FrameReader } from './frame-reader.js';
import { FrameWriter } from './frame-writer.js';
import { headerBytes, type MessageHeader, notAMessage, parseHeader, SIGNER_NAME } from './message-header.js';
import { type MessageKey, TAG_BYTES } from './message-key.js';
import { type MessageSigner, MessageVerifier } from './message-signature.js';
import type { StreamLease } from './stream-lease.js';

/** The key of one message, and how long a stream may use it; without a lease to its end. */
export interface KeyOfStream {
  readonly key: MessageKey;
  readonly lease?: StreamLease | undefined;
}

/** What a message begins with, without what only the key can say. */
export interface Sealing extends KeyOfStream {
  readonly header: Omit<MessageHeader, 'commitment'>;
  /** Whose public key the header's context names. */
  readonly signer?: MessageSigner | undefined;
}

/** Plaintext in, message out. `begin` is called once, before the first byte; the key is wiped when the stream is over. */
export class SealingStream extends Transform {
  #key: MessageKey | undefined;
  #frames: FrameWriter | undefined;
  #signer: MessageSigner | undefined;
  #lease: StreamLease | undefined;

  constructor(private readonly begin: () => Promise<Sealing>) {
    super();
  }

  override _construct(done: TransformCallback): void {
    this.begin().then(({ key, header, signer, lease }) => {
      this.#key = key;
      this.#lease = lease;
      lease?.whenRefused((error) => this.destroy(error));
      this.#signer = signer;
      const bytes = headerBytes({ ...header, commitment: key.commitment });
      this.#write(Buffer.concat([bytes, key.headerTag(bytes)]));
      this.#frames = new FrameWriter(key, header.frameBytes, (out) => this.#write(out));
      done();
    }, done);
  }

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    whenAllowed(this, this.#lease, () => this.#frames!.write(chunk), done);
  }

  override _flush(done: TransformCallback): void {
    const end = () => {
      this.#frames!.end();
      if (this.#signer !== undefined) this.push(this.#signer.footer());
    };
    whenAllowed(this, this.#lease, end, done);
  }

  override _destroy(error: Error | null, done: TransformCallback): void {
    this.#lease?.end();
    this.#key?.wipe();
    done(error);
  }

  #write(bytes: Buffer): void {
    this.#signer?.update(bytes);
    this.push(bytes);
  }
}

/** Long before it, the header says something that cannot be. */
const MAX_HEADER_BYTES = 512 * 1024;

/** Message in, verified plaintext out. `keyFor` is asked once, for a header that nothing has authenticated yet, and its length. */
export class OpeningStream extends Transform {
  #key: MessageKey | undefined;
  #frames: FrameReader | undefined;
  #lease: StreamLease | undefined;
  #start: Buffer = Buffer.alloc(0);

  constructor(private readonly keyFor: (header: MessageHeader, headerBytes: number) => Promise<KeyOfStream>) {
    super();
  }

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    if (this.#frames !== undefined) whenAllowed(this, this.#lease, () => this.#frames!.read(chunk), done);
    else this.#readHeader(chunk).then(() => done(), done);
  }

  override _flush(done: TransformCallback): void {
    if (this.#frames === undefined) done(notAMessage());
    else attempt(() => this.#frames!.end(), done);
  }

  override _destroy(error: Error | null, done: TransformCallback): void {
    this.#lease?.end();
    this.#frames?.wipe();
    this.#key?.wipe();
    done(error);
  }

  async #readHeader(chunk: Buffer): Promise<void> {
    this.#start = Buffer.concat([this.#start, chunk]);
    const parsed = parseHeader(this.#start);
    if (parsed === undefined && this.#start.length > MAX_HEADER_BYTES) throw notAMessage();
    if (parsed === undefined || this.#start.length < parsed.length + TAG_BYTES) return;
    const { header, length } = parsed;
    const { key, lease } = await this.keyFor(header, length);
    this.#key = key;
    this.#lease = lease;
    // Given up meanwhile: `_destroy` was here already.
    if (this.destroyed) return end({ key, lease });
    lease?.whenRefused((error) => this.destroy(error));
    // The commitment first: GCM alone can open one message under two keys that an attacker chose together.
    if (!timingSafeEqual(key.commitment, header.commitment)) throw notAMessage();
    const tag = this.#start.subarray(length, length + TAG_BYTES);
    if (!timingSafeEqual(key.headerTag(this.#start.subarray(0, length)), tag)) throw notAMessage();
    const signer = header.context[SIGNER_NAME];
    const verifier = signer === undefined ? undefined : new MessageVerifier(signer);
    verifier?.update(this.#start.subarray(0, length + TAG_BYTES));
    this.#frames = new FrameReader(key, header.frameBytes, (plaintext) => void this.push(plaintext), verifier);
    this.#frames.read(this.#start.subarray(length + TAG_BYTES));
    this.#start = Buffer.alloc(0);
  }
}

function end({ key, lease }: KeyOfStream): void {
  lease?.end();
  key.wipe();
}

/** At once, or when Keyward has allowed the stream to go on. */
function whenAllowed(stream: Transform, lease: StreamLease | undefined, work: () => void, done: TransformCallback): void {
  if (lease?.asking !== undefined) lease.asking.then(() => whenAllowed(stream, lease, work, done), done);
  else if (stream.destroyed) done();
  else attempt(work, done);
}

function attempt(work: () => void, done: TransformCallback): void {
  try {
    work();
  } catch (error) {
    return done(error as Error);
  }
  done();
}
