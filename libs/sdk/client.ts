import type { IncomingMessage } from 'node:http';
import {
  asymmetricCiphertextAnswer,
  asymmetricPlaintextAnswer,
  ciphertextAnswer,
  dataKeyAnswer,
  dataKeyForRecipientAnswer,
  dryRunAnswer,
  type EncryptionAlgorithm,
  type EncryptionContext,
  FRAME_TYPE,
  joinFrame,
  type Justification,
  keylessDryRunAnswer,
  type Lease,
  macAnswer,
  plaintextAnswer,
  plaintextForRecipientAnswer,
  publicKeyAnswer,
  signatureAnswer,
  type SigningAlgorithm,
  validityAnswer,
} from '#contract';
import { z } from 'zod';
import { parsed, type Provenance, provenanceOf, soundDataKey, succeeded, unframed } from './answers.js';
import { encodeBase64 } from './base64-bytes.js';
import { framedItems, framedResults, itemResults, type ItemResult } from './batches.js';
import { type Bearer, bearerOf, type Proof } from './bearer.js';
import { errorOf, KeywardError } from './errors.js';
import type { ForRecipient, Recipient } from './recipient.js';
import { type Patience, patienceOf, withRetries } from './retries.js';
import { type TracerProvider, Tracing } from './tracing.js';
import { type Connection, Transport, type WireAnswer } from './transport.js';

export const DEFAULT_DATA_PLANE = 'http://127.0.0.1:7720';
const AES_256_BYTES = 32;
const AES_128_BYTES = 16;

/** `apiKey` is the service's credential, `kw_platform_…`; with `signingKey` the service needs none. */
export type KeywardClientOptions = Proof &
  Partial<Patience> &
  Partial<Omit<Connection, 'keepAlive'>> & {
    /** Have every plaintext and data key answered sealed to this recipient, and opened here: nothing in between can read them. */
    readonly recipient?: Recipient | undefined;
    /** `trace` of `@opentelemetry/api`: a span for every call to Keyward, without secrets (docs/sdk.md). */
    readonly tracerProvider?: TracerProvider | undefined;
  };

interface OfTenant {
  readonly tenant: string;
  /** Bound to the ciphertext: the same pairs must be given to decrypt. At most 8192 bytes in all. */
  readonly context?: EncryptionContext | undefined;
  /** Why: some grants ask for it, and the tenant's trail keeps it. */
  readonly justification?: Justification | undefined;
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
/** From one key, or context, to another of the same tenant: the plaintext stays with Keyward. */
export interface ReEncryptCall extends Omit<OfTenant, 'context'> {
  readonly ciphertext: Uint8Array;
  readonly sourceContext?: EncryptionContext | undefined;
  /** An assertion: refuse unless this key made the ciphertext. */
  readonly sourceKeyId?: string | undefined;
  readonly destinationKeyId: string;
  readonly destinationContext?: EncryptionContext | undefined;
}
/** 32 bytes unless told otherwise; `numberOfBytes` 1 to 1024, instead of `keySpec`. */
export interface DataKeyCall extends OfTenant {
  readonly keyId: string;
  readonly keySpec?: 'AES_256' | 'AES_128' | undefined;
  readonly numberOfBytes?: number | undefined;
}

/** For somebody else: their public key, SubjectPublicKeyInfo in DER, of X25519 or P-256. */
export type CallForRecipient<Call> = Call & { readonly recipient: Uint8Array };

/** Of a batch, whose items have the tenant in common. */
export type ItemOf<Call extends OfTenant> = Omit<Call, 'tenant'>;

/** MACs are bound to no context. */
export interface MacCall extends Omit<OfTenant, 'context'> {
  readonly keyId: string;
  /** 1 to 4096 bytes. */
  readonly message: Uint8Array;
}
export interface VerifyMacCall extends MacCall {
  readonly mac: Uint8Array;
  /** The version that made it; default: the primary one. */
  readonly keyVersionId?: string | undefined;
}

/** `digest`: made elsewhere, as long as the algorithm's; otherwise `message`, 1 to 6144 bytes. */
export interface SignCall extends Omit<OfTenant, 'context'> {
  readonly keyId: string;
  readonly algorithm: SigningAlgorithm;
  readonly message: Uint8Array;
  readonly messageType?: 'RAW' | 'DIGEST' | undefined;
}
export interface VerifyCall extends SignCall {
  readonly signature: Uint8Array;
  /** The version that signed; default: the primary one. */
  readonly keyVersionId?: string | undefined;
}
export interface PublicKeyCall extends Omit<OfTenant, 'context'> {
  readonly keyId: string;
  readonly keyVersionId?: string | undefined;
}

/** To and by an RSA key of usage ENCRYPT_DECRYPT; bound to no context. */
export interface AsymmetricEncryptCall extends Omit<OfTenant, 'context'> {
  readonly keyId: string;
  /** Default: the primary one. */
  readonly keyVersionId?: string | undefined;
  readonly algorithm: EncryptionAlgorithm;
  /** RSA_2048 with RSAES_OAEP_SHA_256: 1 to 190 bytes. */
  readonly plaintext: Uint8Array;
}
export interface AsymmetricDecryptCall extends Omit<AsymmetricEncryptCall, 'plaintext'> {
  readonly keyVersionId: string;
  readonly ciphertext: Uint8Array;
}
/** Of no key. */
export interface RandomCall extends Omit<OfTenant, 'context'> {
  /** 1 to 1024. */
  readonly numberOfBytes: number;
}

interface UsedKey extends Provenance {
  readonly keyId: string;
  readonly keyVersionId: string;
}
export interface Ciphertext extends UsedKey {
  readonly ciphertext: Uint8Array;
}
export interface Mac extends UsedKey {
  readonly mac: Uint8Array;
}
export interface Validity extends UsedKey {
  readonly valid: boolean;
}
export interface Signature extends UsedKey {
  readonly algorithm: SigningAlgorithm;
  /** ECDSA: DER. */
  readonly signature: Uint8Array;
}
export interface AsymmetricCiphertext extends UsedKey {
  readonly algorithm: EncryptionAlgorithm;
  readonly ciphertext: Uint8Array;
}
/** Wipe `plaintext` (`.fill(0)`) when you are done with it. */
export interface AsymmetricPlaintext extends UsedKey {
  readonly algorithm: EncryptionAlgorithm;
  readonly plaintext: Uint8Array;
}
/** Wipe `plaintext` (`.fill(0)`) when you are done with it. */
export interface RandomBytes extends Provenance {
  readonly plaintext: Uint8Array;
}
export interface PublicKey extends UsedKey {
  readonly keySpec: string;
  /** SubjectPublicKeyInfo, DER; `pem` is the same as text. */
  readonly publicKey: Uint8Array;
  readonly pem: string;
}
/** The call would be allowed, with this key. */
export interface DryRun extends UsedKey {
  readonly dryRun: true;
}
/** What may be asked beforehand, and of what. */
export interface DryRunCalls {
  readonly encrypt: EncryptCall;
  readonly decrypt: DecryptCall;
  readonly generateDataKey: DataKeyCall;
  readonly generateDataKeyWithoutPlaintext: DataKeyCall;
  readonly reEncrypt: ReEncryptCall;
  readonly generateMac: MacCall;
  readonly verifyMac: VerifyMacCall;
  readonly sign: SignCall;
  readonly verify: VerifyCall;
  readonly getPublicKey: PublicKeyCall;
  readonly asymmetricEncrypt: AsymmetricEncryptCall;
  readonly asymmetricDecrypt: AsymmetricDecryptCall;
}
/** Wipe `plaintext` (`.fill(0)`) when you are done with it. */
export interface Plaintext extends UsedKey {
  /** How long it may be kept, by the tenant's grant. */
  readonly lease: Lease;
  readonly plaintext: Uint8Array;
}
/** Use `plaintext`, wipe it, keep `ciphertext`: decrypt gives the data key back. */
export interface DataKey extends UsedKey {
  /** How long `plaintext` may be kept, by the tenant's grant. */
  readonly lease: Lease;
  readonly plaintext: Uint8Array;
  readonly ciphertext: Uint8Array;
}

/** As `Plaintext`, for `Recipient.open` of whom it is sealed to. */
export type PlaintextForRecipient = Omit<Plaintext, 'plaintext'> & ForRecipient;
/** As `DataKey`, for `Recipient.open` of whom it is sealed to. */
export type DataKeyForRecipient = Omit<DataKey, 'plaintext'> & ForRecipient;

/**
 * The data plane: direct encryption of small values, and data keys for everything else (see `Envelope`).
 * Every method throws a `KeywardError`; unavailable and throttled calls are tried again with jitter first. Repeating one is safe: it
 * changes nothing but the trail.
 */
export class KeywardClient {
  readonly #transport: Transport;
  readonly #bearer: Bearer;
  readonly #patience: Patience;
  readonly #recipient: Recipient | undefined;
  readonly #tracing: Tracing;

  constructor({ url = DEFAULT_DATA_PLANE, ca, allowPlainHttp, recipient, tracerProvider, ...options }: KeywardClientOptions) {
    this.#recipient = recipient;
    this.#tracing = new Tracing(tracerProvider, url);
    this.#bearer = bearerOf(options);
    this.#transport = new Transport({ url, ca, allowPlainHttp, keepAlive: true });
    this.#patience = patienceOf(options);
  }

  async encrypt({ plaintext, ...call }: EncryptCall): Promise<Ciphertext> {
    const answer = await this.#framed(call, PATHS.encrypt, askedFor(call), plaintext);
    const { json, bytes } = unframed(usedKeyAnswer, answer);
    return { ...json, ciphertext: bytes, ...provenanceOf(answer) };
  }

  async decrypt({ ciphertext, ...call }: DecryptCall): Promise<Plaintext> {
    const answer = await this.#framed(call, PATHS.decrypt, { ...askedFor(call), recipient: this.#recipientKey }, ciphertext);
    const { json, bytes } = this.#plaintextIn(heldKeyAnswer, answer, () => ciphertext);
    return { ...json, plaintext: bytes, ...wipedUnless(bytes, () => provenanceOf(answer)) };
  }

  /** @throws ServerFault `bad-answer` for a data key that is short or all zero */
  async generateDataKey({ keySpec, numberOfBytes, ...call }: DataKeyCall): Promise<DataKey> {
    const asked = { keySpec, numberOfBytes, ...askedFor(call), recipient: this.#recipientKey };
    const answer = await this.#framed(call, PATHS.generateDataKey, asked);
    const { json, bytes } = this.#plaintextIn(framedDataKey, answer, ({ ciphertext }) => fromBase64(ciphertext));
    return wipedUnless(bytes, () => {
      const provenance = provenanceOf(answer);
      const plaintext = soundDataKey(bytes, lengthOf({ ...call, keySpec, numberOfBytes }), provenance);
      return { ...json, ciphertext: fromBase64(json.ciphertext), plaintext, ...provenance };
    });
  }

  /** A data key for later: only its ciphertext. */
  async generateDataKeyWithoutPlaintext(call: DataKeyCall): Promise<Ciphertext> {
    const body = BODIES.generateDataKeyWithoutPlaintext(call);
    return ciphertextFrom(await this.#call(call.tenant, PATHS.generateDataKeyWithoutPlaintext, body));
  }

  /** What only the recipient can open: `Recipient.open({ ciphertextForRecipient, ciphertext })`. */
  async decryptForRecipient({ recipient, ...call }: CallForRecipient<DecryptCall>): Promise<PlaintextForRecipient> {
    const answer = await this.#call(call.tenant, PATHS.decrypt, BODIES.decrypt(call, undefined, toBase64(recipient)));
    const { ciphertextForRecipient, ...used } = parsed(plaintextForRecipientAnswer, answer);
    return { ...used, ciphertextForRecipient: fromBase64(ciphertextForRecipient), ...provenanceOf(answer) };
  }

  /** As `decryptForRecipient`. */
  async generateDataKeyForRecipient({ recipient, ...call }: CallForRecipient<DataKeyCall>): Promise<DataKeyForRecipient> {
    const answer = await this.#call(call.tenant, PATHS.generateDataKey, BODIES.generateDataKey(call, undefined, toBase64(recipient)));
    const { ciphertext, ciphertextForRecipient, ...used } = parsed(dataKeyForRecipientAnswer, answer);
    const sealed = { ciphertext: fromBase64(ciphertext), ciphertextForRecipient: fromBase64(ciphertextForRecipient) };
    return { ...used, ...sealed, ...provenanceOf(answer) };
  }

  /** Up to 500 values of one tenant, 1 MiB in all; each with a result of its own, in order. */
  async encryptBatch(tenant: string, items: readonly ItemOf<EncryptCall>[]): Promise<ItemResult<Ciphertext>[]> {
    const asked = items.map((item) => askedFor(item));
    const answer = await this.#framedBatch(
      tenant,
      PATHS.encrypt,
      asked,
      items.map(({ plaintext }) => plaintext),
    );
    return framedResults(answer, items.length, usedKeyAnswer, (used, provenance, ciphertext) => ({
      ...{ ...used, ciphertext: notEmpty(ciphertext, provenance) },
      ...provenance,
    }));
  }

  /** As `encryptBatch`. Wipe every `plaintext`. */
  async decryptBatch(tenant: string, items: readonly ItemOf<DecryptCall>[]): Promise<ItemResult<Plaintext>[]> {
    const asked = items.map((item) => ({ ...askedFor(item), recipient: this.#recipientKey }));
    const answer = await this.#framedBatch(
      tenant,
      PATHS.decrypt,
      asked,
      items.map(({ ciphertext }) => ciphertext),
    );
    const recipient = this.#recipient;
    if (recipient !== undefined)
      return framedResults(answer, items.length, plaintextForRecipientAnswer, (sealed, { record, requestId }, _, index) =>
        orItsError(() => ({ ...openedBy(recipient, sealed, items[index]!.ciphertext, requestId), record, requestId })),
      );
    return framedResults(answer, items.length, heldKeyAnswer, (used, provenance, plaintext) => ({
      ...{ ...used, plaintext: notEmpty(plaintext, provenance) },
      ...provenance,
    }));
  }

  /** As `encryptBatch`. @throws ServerFault `bad-answer` when one of the data keys is short or all zero */
  async generateDataKeyBatch(tenant: string, items: readonly ItemOf<DataKeyCall>[]): Promise<ItemResult<DataKey>[]> {
    const asked = items.map(({ keySpec, numberOfBytes, ...item }) => ({
      ...{ keySpec, numberOfBytes, ...askedFor(item) },
      recipient: this.#recipientKey,
    }));
    const answer = await this.#framedBatch(tenant, PATHS.generateDataKey, asked, []);
    const recipient = this.#recipient;
    if (recipient !== undefined)
      return framedResults(answer, items.length, dataKeyForRecipientAnswer, (sealed, provenance, _, index) =>
        orItsError(() => {
          const ciphertext = fromBase64(sealed.ciphertext);
          const { plaintext, ...used } = openedBy(recipient, sealed, ciphertext, provenance.requestId);
          return { ...used, ciphertext, plaintext: soundDataKey(plaintext, lengthOf(items[index]!), provenance), ...provenance };
        }),
      );
    return framedResults(answer, items.length, framedDataKey, ({ ciphertext, ...used }, provenance, plaintext, index) => ({
      ...used,
      ciphertext: fromBase64(ciphertext),
      plaintext: soundDataKey(plaintext, lengthOf(items[index]!), provenance),
      ...provenance,
    }));
  }

  /** The same plaintext under another key or context; what was a data key's ciphertext is one again. */
  async reEncrypt(call: ReEncryptCall): Promise<Ciphertext> {
    return ciphertextFrom(await this.#call(call.tenant, PATHS.reEncrypt, BODIES.reEncrypt(call)));
  }

  /** As `encryptBatch`. */
  async reEncryptBatch(tenant: string, items: readonly ItemOf<ReEncryptCall>[]): Promise<ItemResult<Ciphertext>[]> {
    const body = jsonBody({ items: items.map((item) => reEncryption(item)) });
    const answer = await this.#call(tenant, `${PATHS.reEncrypt}/batch`, body, { items: items.length });
    return itemResults(answer, items.length, ciphertextAnswer, ({ ciphertext, ...used }, provenance) => ({
      ...{ ...used, ciphertext: fromBase64(ciphertext) },
      ...provenance,
    }));
  }

  /** HMAC with the hash of the key: `HMAC_256`, `HMAC_384`, `HMAC_512` or `HMAC_SM3`. `message` is 1 to 4096 bytes. */
  async generateMac(call: MacCall): Promise<Mac> {
    const answer = await this.#call(call.tenant, PATHS.generateMac, BODIES.generateMac(call));
    const { mac, ...used } = parsed(macAnswer, answer);
    return { ...used, mac: fromBase64(mac), ...provenanceOf(answer) };
  }

  /** Is it the MAC of this key over these bytes? */
  async verifyMac(call: VerifyMacCall): Promise<Validity> {
    const answer = await this.#call(call.tenant, PATHS.verifyMac, BODIES.verifyMac(call));
    return { ...parsed(validityAnswer, answer), ...provenanceOf(answer) };
  }

  /** By the private key in the HSM; `getPublicKey` is all that others need to verify. */
  async sign(call: SignCall): Promise<Signature> {
    const answer = await this.#call(call.tenant, PATHS.sign, BODIES.sign(call));
    const { signature, ...used } = parsed(signatureAnswer, answer);
    return { ...used, signature: fromBase64(signature), ...provenanceOf(answer) };
  }

  async verify(call: VerifyCall): Promise<Validity> {
    const answer = await this.#call(call.tenant, PATHS.verify, BODIES.verify(call));
    return { ...parsed(validityAnswer, answer), ...provenanceOf(answer) };
  }

  async getPublicKey(call: PublicKeyCall): Promise<PublicKey> {
    const answer = await this.#call(call.tenant, PATHS.getPublicKey, BODIES.getPublicKey(call));
    const { publicKey, ...used } = parsed(publicKeyAnswer, answer);
    return { ...used, publicKey: fromBase64(publicKey), ...provenanceOf(answer) };
  }

  /** Nobody but the HSM opens it. */
  async asymmetricEncrypt(call: AsymmetricEncryptCall): Promise<AsymmetricCiphertext> {
    const body = BODIES.asymmetricEncrypt(call);
    try {
      const answer = await this.#call(call.tenant, PATHS.asymmetricEncrypt, body);
      const { ciphertext, ...used } = parsed(asymmetricCiphertextAnswer, answer);
      return { ...used, ciphertext: fromBase64(ciphertext), ...provenanceOf(answer) };
    } finally {
      body.fill(0);
    }
  }

  async asymmetricDecrypt(call: AsymmetricDecryptCall): Promise<AsymmetricPlaintext> {
    const answer = await this.#call(call.tenant, PATHS.asymmetricDecrypt, BODIES.asymmetricDecrypt(call));
    const { plaintext, ...used } = parsed(asymmetricPlaintextAnswer, answer);
    return { ...used, plaintext: fromBase64(plaintext), ...provenanceOf(answer) };
  }

  /** Bytes of the HSM's generator; it takes a grant for every key. @throws ServerFault `bad-answer` for bytes that are short or all zero */
  async generateRandom({ numberOfBytes, justification, ...call }: RandomCall): Promise<RandomBytes> {
    const answer = await this.#framed(call, 'random', { numberOfBytes, justification });
    const { bytes } = unframed(z.object({}), answer);
    return wipedUnless(bytes, () => {
      const provenance = provenanceOf(answer);
      // A byte or two may well be zero.
      return { plaintext: numberOfBytes < 8 ? bytes : soundDataKey(bytes, numberOfBytes, provenance), ...provenance };
    });
  }

  /** Would generateRandom be allowed now? @throws what the call itself would throw */
  async mayGenerateRandom({ tenant, ...asked }: RandomCall): Promise<Provenance> {
    const answer = await this.#call(tenant, 'random', jsonBody({ ...asked, dryRun: true }));
    parsed(keylessDryRunAnswer, answer);
    return provenanceOf(answer);
  }

  /** Would this call be allowed now? No key is used. @throws what the call itself would throw */
  async dryRun<Name extends keyof DryRunCalls>(operation: Name, call: DryRunCalls[Name]): Promise<DryRun> {
    const body = BODIES[operation](call, true);
    try {
      const answer = await this.#call(call.tenant, PATHS[operation], body);
      return { ...parsed(dryRunAnswer, answer), ...provenanceOf(answer) };
    } finally {
      body.fill(0);
    }
  }

  /** The tenant's event stream, for a `RuleListener`: it begins within `timeoutMs`. @throws KeywardError */
  async events(tenant: string, timeoutMs: number): Promise<IncomingMessage> {
    const call = { method: 'GET', path: `/v1/tenants/${encodeURIComponent(tenant)}/events`, token: await this.#bearer() } as const;
    const response = await this.#transport.open(call, timeoutMs);
    if (response.statusCode === 200) return response;
    response.destroy();
    throw errorOf('Keyward does not let this service listen.', { code: 'unavailable', status: response.statusCode, retryable: true });
  }

  /** Closes idle connections; calls still work afterwards. */
  close(): void {
    this.#transport.close();
  }

  /** Base64. */
  get #recipientKey(): string | undefined {
    return this.#recipient && toBase64(this.#recipient.publicKey);
  }

  /** What a frame answered besides its plaintext, and that: nothing but what was sealed to our recipient, if there is one. */
  #plaintextIn<Schema extends z.ZodObject>(schema: Schema, answer: WireAnswer, ciphertextIn: (json: z.output<Schema>) => Uint8Array) {
    const recipient = this.#recipient;
    if (recipient === undefined) return unframed(schema, answer);
    const { json } = unframed(z.intersection(schema, sealedToRecipient), answer);
    const { plaintext, ...rest } = openedBy(recipient, json, ciphertextIn(json), String(answer.headers['x-request-id']));
    return { json: rest, bytes: plaintext };
  }

  async #framedBatch(tenant: string, operation: string, asked: readonly object[], bytes: readonly Uint8Array[]): Promise<WireAnswer> {
    const body = framedItems(asked, bytes);
    try {
      return await this.#call(tenant, `${operation}/batch`, body, { type: FRAME_TYPE, items: asked.length });
    } finally {
      body.fill(0);
    }
  }

  /** As a frame, in which plaintext and data keys are bytes from end to end. */
  async #framed({ tenant }: OfTenant, operation: string, asked: object, bytes: Uint8Array = NOTHING): Promise<WireAnswer> {
    const body = joinFrame(jsonBody(asked), bytes);
    try {
      return await this.#call(tenant, operation, body, { type: FRAME_TYPE });
    } finally {
      body.fill(0);
    }
  }

  #call(tenant: string, operation: string, body: Uint8Array, { type, items }: { type?: string; items?: number } = {}): Promise<WireAnswer> {
    const call = { method: 'POST', path: `/v1/tenants/${encodeURIComponent(tenant)}/${operation}`, body, type } as const;
    return this.#tracing.span({ operation, tenant, items }, (attempted, headers) =>
      withRetries(this.#patience, async (timeoutMs) => {
        attempted();
        return succeeded(await this.#transport.exchange({ ...call, headers, token: await this.#bearer() }, timeoutMs));
      }),
    );
  }
}

const NOTHING = new Uint8Array(0);
const usedKeyAnswer = ciphertextAnswer.omit({ ciphertext: true });
const heldKeyAnswer = plaintextAnswer.omit({ plaintext: true });
const framedDataKey = dataKeyAnswer.omit({ plaintext: true });

/** Whatever goes wrong after the plaintext was read, it does not stay behind. */
function wipedUnless<Answer>(plaintext: Uint8Array, done: () => Answer): Answer {
  try {
    return done();
  } catch (error) {
    plaintext.fill(0);
    throw error;
  }
}

const sealedToRecipient = plaintextForRecipientAnswer.pick({ ciphertextForRecipient: true });

function openedBy<Sealed extends { readonly ciphertextForRecipient: string }>(
  recipient: Recipient,
  { ciphertextForRecipient, ...used }: Sealed,
  ciphertext: Uint8Array,
  requestId: string,
) {
  return { ...used, plaintext: recipient.open({ ciphertextForRecipient: fromBase64(ciphertextForRecipient), ciphertext, requestId }) };
}

/** An item whose answer must not be used fails alone. */
function orItsError<Answer>(read: () => Answer): ItemResult<Answer> {
  try {
    return read();
  } catch (error) {
    if (error instanceof KeywardError) return { error };
    throw error;
  }
}

/** @throws ServerFault `bad-answer` */
function notEmpty(bytes: Uint8Array, { requestId, record }: Provenance): Uint8Array {
  if (bytes.length > 0) return bytes;
  throw errorOf('An item of the answer has no bytes.', { code: 'bad-answer', requestId, record });
}

function ciphertextFrom(answer: WireAnswer): Ciphertext {
  const { ciphertext, ...used } = parsed(ciphertextAnswer, answer);
  return { ...used, ciphertext: fromBase64(ciphertext), ...provenanceOf(answer) };
}

const PATHS = {
  encrypt: 'encrypt',
  decrypt: 'decrypt',
  generateDataKey: 'data-keys',
  generateDataKeyWithoutPlaintext: 'data-keys/without-plaintext',
  reEncrypt: 're-encrypt',
  generateMac: 'mac',
  verifyMac: 'mac/verify',
  sign: 'sign',
  verify: 'verify',
  getPublicKey: 'public-key',
  asymmetricEncrypt: 'asymmetric/encrypt',
  asymmetricDecrypt: 'asymmetric/decrypt',
} as const satisfies Record<keyof DryRunCalls, string>;

const dataKeyBody = ({ keySpec, numberOfBytes, ...call }: DataKeyCall, dryRun?: true, recipient?: string) =>
  jsonBody({ keySpec, numberOfBytes, ...askedFor(call, dryRun), recipient });

/** The request of each call, which carries `dryRun` or nothing of it. */
const BODIES: { readonly [Name in keyof DryRunCalls]: (call: DryRunCalls[Name], dryRun?: true, recipient?: string) => Uint8Array } = {
  encrypt: ({ plaintext, ...call }, dryRun) => bodyWithPlaintext(askedFor(call, dryRun), plaintext),
  decrypt: ({ ciphertext, ...call }, dryRun, recipient) =>
    jsonBody({ ciphertext: toBase64(ciphertext), ...askedFor(call, dryRun), recipient }),
  generateDataKey: dataKeyBody,
  generateDataKeyWithoutPlaintext: (call, dryRun) => dataKeyBody(call, dryRun),
  reEncrypt: (call, dryRun) => jsonBody({ ...reEncryption(call), dryRun }),
  generateMac: ({ keyId, message, justification }, dryRun) => jsonBody({ keyId, message: toBase64(message), justification, dryRun }),
  verifyMac: ({ keyId, keyVersionId, message, mac, justification }, dryRun) =>
    jsonBody({ keyId, keyVersionId, message: toBase64(message), mac: toBase64(mac), justification, dryRun }),
  sign: ({ keyId, algorithm, message, messageType, justification }, dryRun) =>
    jsonBody({ keyId, algorithm, message: toBase64(message), messageType, justification, dryRun }),
  verify: ({ keyId, keyVersionId, algorithm, message, messageType, signature, justification }, dryRun) => {
    const signed = { keyId, keyVersionId, algorithm, message: toBase64(message), messageType, signature: toBase64(signature) };
    return jsonBody({ ...signed, justification, dryRun });
  },
  getPublicKey: ({ keyId, keyVersionId, justification }, dryRun) => jsonBody({ keyId, keyVersionId, justification, dryRun }),
  asymmetricEncrypt: ({ keyId, keyVersionId, algorithm, plaintext, justification }, dryRun) =>
    bodyWithPlaintext({ keyId, keyVersionId, algorithm, justification, dryRun }, plaintext),
  asymmetricDecrypt: ({ keyId, keyVersionId, algorithm, ciphertext, justification }, dryRun) =>
    jsonBody({ keyId, keyVersionId, algorithm, ciphertext: toBase64(ciphertext), justification, dryRun }),
};

function reEncryption({ ciphertext, justification, ...call }: ItemOf<ReEncryptCall>): object {
  const { sourceContext, sourceKeyId, destinationKeyId, destinationContext } = call;
  return {
    ciphertext: toBase64(ciphertext),
    ...{ sourceEncryptionContext: sourceContext, sourceKeyId },
    ...{ destinationKeyId, destinationEncryptionContext: destinationContext },
    justification,
  };
}

function askedFor({ keyId, context, justification }: ItemOf<OfTenant> & { readonly keyId?: string | undefined }, dryRun?: true): object {
  return { keyId, encryptionContext: context, justification, dryRun };
}

const lengthOf = ({ keySpec, numberOfBytes }: ItemOf<DataKeyCall>) =>
  numberOfBytes ?? (keySpec === 'AES_128' ? AES_128_BYTES : AES_256_BYTES);

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

const toBase64 = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64');
const fromBase64 = (text: string) => new Uint8Array(Buffer.from(text, 'base64'));
