import { ciphertextAnswer, dataKeyAnswer, type EncryptionContext, plaintextAnswer } from '#contract';
import { parsed, type Provenance, provenanceOf, soundDataKey, succeeded, takePlaintext } from './answers.js';
import { encodeBase64 } from './base64-bytes.js';
import { DEFAULT_PATIENCE, type Patience, withRetries } from './retries.js';
import { type Connection, Transport, type WireAnswer } from './transport.js';

export const DEFAULT_DATA_PLANE = 'http://127.0.0.1:7720';
const AES_256_BYTES = 32;
const AES_128_BYTES = 16;

export interface KeywardClientOptions extends Partial<Patience>, Partial<Omit<Connection, 'keepAlive'>> {
  /** The service's credential, `kw_platform_…`. */
  readonly apiKey: string;
}

interface OfTenant {
  readonly tenant: string;
  /** Bound to the ciphertext: the same pairs must be given to decrypt. At most 8192 bytes in all. */
  readonly context?: EncryptionContext | undefined;
}
/** `keyId` is a key's id or `alias/name`. */
export interface EncryptCall extends OfTenant {
  readonly keyId: string;
  /** 1 to 6144 bytes. */
  readonly plaintext: Uint8Array;
}
export interface DecryptCall extends OfTenant {
  readonly ciphertext: Uint8Array;
  /** An assertion: refuse unless this key made the ciphertext. */
  readonly keyId?: string | undefined;
}
/** 32 bytes unless told otherwise; `numberOfBytes` 1 to 1024, instead of `keySpec`. */
export interface DataKeyCall extends OfTenant {
  readonly keyId: string;
  readonly keySpec?: 'AES_256' | 'AES_128' | undefined;
  readonly numberOfBytes?: number | undefined;
}

interface UsedKey extends Provenance {
  readonly keyId: string;
  readonly keyVersionId: string;
}
export interface Ciphertext extends UsedKey {
  readonly ciphertext: Uint8Array;
}
/** Wipe `plaintext` (`.fill(0)`) when you are done with it. */
export interface Plaintext extends UsedKey {
  readonly plaintext: Uint8Array;
}
/** Use `plaintext`, wipe it, keep `ciphertext`: decrypt gives the data key back. */
export interface DataKey extends UsedKey {
  readonly plaintext: Uint8Array;
  readonly ciphertext: Uint8Array;
}

/**
 * The data plane: direct encryption of small values, and data keys for everything else (see `Envelope`).
 * Every method throws a `KeywardError`; unavailable and throttled calls are tried again with jitter first. Repeating one is safe: it
 * changes nothing but the trail.
 */
export class KeywardClient {
  readonly #transport: Transport;
  readonly #apiKey: string;
  readonly #patience: Patience;

  constructor({ apiKey, url = DEFAULT_DATA_PLANE, ca, allowPlainHttp, ...patience }: KeywardClientOptions) {
    this.#apiKey = apiKey;
    this.#transport = new Transport({ url, ca, allowPlainHttp, keepAlive: true });
    this.#patience = { ...DEFAULT_PATIENCE, ...patience };
  }

  async encrypt({ tenant, keyId, plaintext, context }: EncryptCall): Promise<Ciphertext> {
    const body = bodyWithPlaintext({ keyId, encryptionContext: context }, plaintext);
    try {
      return ciphertextFrom(await this.#call(tenant, 'encrypt', body));
    } finally {
      body.fill(0);
    }
  }

  async decrypt({ tenant, ciphertext, keyId, context }: DecryptCall): Promise<Plaintext> {
    const request = { ciphertext: Buffer.from(ciphertext).toString('base64'), keyId, encryptionContext: context };
    const answer = await this.#call(tenant, 'decrypt', jsonBody(request));
    return withPlaintext(answer, (plaintext) => ({ ...parsed(plaintextAnswer, answer), plaintext, ...provenanceOf(answer) }));
  }

  /** @throws ServerFault `bad-answer` for a data key that is short or all zero */
  async generateDataKey(call: DataKeyCall): Promise<DataKey> {
    const answer = await this.#call(call.tenant, 'data-keys', dataKeyBody(call));
    return withPlaintext(answer, (dataKey) => {
      const { ciphertext, ...used } = parsed(dataKeyAnswer, answer);
      const provenance = provenanceOf(answer);
      return { ...used, ciphertext: fromBase64(ciphertext), plaintext: soundDataKey(dataKey, lengthOf(call), provenance), ...provenance };
    });
  }

  /** A data key for later: only its ciphertext. */
  async generateDataKeyWithoutPlaintext(call: DataKeyCall): Promise<Ciphertext> {
    return ciphertextFrom(await this.#call(call.tenant, 'data-keys/without-plaintext', dataKeyBody(call)));
  }

  /** Closes idle connections; calls still work afterwards. */
  close(): void {
    this.#transport.close();
  }

  #call(tenant: string, operation: string, body: Uint8Array): Promise<WireAnswer> {
    const call = { method: 'POST', path: `/v1/tenants/${encodeURIComponent(tenant)}/${operation}`, token: this.#apiKey, body } as const;
    return withRetries(this.#patience, async (timeoutMs) => succeeded(await this.#transport.exchange(call, timeoutMs)));
  }
}

/** Whatever goes wrong after the plaintext was read, it does not stay behind. */
function withPlaintext<Answer>(answer: WireAnswer, use: (plaintext: Uint8Array) => Answer): Answer {
  const plaintext = takePlaintext(answer);
  try {
    return use(plaintext);
  } catch (error) {
    plaintext.fill(0);
    throw error;
  }
}

function ciphertextFrom(answer: WireAnswer): Ciphertext {
  const { ciphertext, ...used } = parsed(ciphertextAnswer, answer);
  return { ...used, ciphertext: fromBase64(ciphertext), ...provenanceOf(answer) };
}

const dataKeyBody = ({ keyId, keySpec, numberOfBytes, context }: DataKeyCall) =>
  jsonBody({ keyId, keySpec, numberOfBytes, encryptionContext: context });

const lengthOf = ({ keySpec, numberOfBytes }: DataKeyCall) => numberOfBytes ?? (keySpec === 'AES_128' ? AES_128_BYTES : AES_256_BYTES);

const jsonBody = (request: object) => Buffer.from(JSON.stringify(request));

/** `request` with a plaintext field that never was a string. */
function bodyWithPlaintext(request: object, plaintext: Uint8Array): Uint8Array {
  const base64 = encodeBase64(plaintext);
  try {
    return Buffer.concat([Buffer.from(`${JSON.stringify(request).slice(0, -1)},"plaintext":"`), base64, Buffer.from('"}')]);
  } finally {
    base64.fill(0);
  }
}

const fromBase64 = (text: string) => new Uint8Array(Buffer.from(text, 'base64'));
