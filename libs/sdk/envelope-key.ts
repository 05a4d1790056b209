import type { EncryptionContext, Justification } from '#contract';
import { soundDataKey } from './answers.js';
import type { KeywardClient } from './client.js';
import { InvalidCall, KeywardError } from './errors.js';
import type { Leased, Wipeable } from './held-keys.js';
import { type EncryptedDataKey, notAMessage } from './message-header.js';

/** The provider id in every message that Keyward's keys seal. */
export const KEYWARD_PROVIDER = 'keyward';
const DATA_KEY_BYTES = 32;

/** Of a client, what fields need. */
export type DataKeySource = Pick<KeywardClient, 'generateDataKey' | 'decrypt'>;
/** And envelopes: `encrypt` for spare keys only. */
export type EnvelopeSource = DataKeySource & Partial<Pick<KeywardClient, 'encrypt'>>;

/** A data key for messages, and how it stands in them. */
export class EnvelopeKey implements Wipeable {
  #wiped = false;

  constructor(
    readonly plaintext: Uint8Array,
    readonly encryptedDataKeys: readonly EncryptedDataKey[],
  ) {}

  get isWiped(): boolean {
    return this.#wiped;
  }

  wipe(): void {
    this.#wiped = true;
    this.plaintext.fill(0);
  }
}

/** Of whom and what a data key is asked for. */
export interface OpeningScope {
  readonly tenant: string;
  readonly context: EncryptionContext;
  readonly justification?: Justification | undefined;
}
export interface SealingScope extends OpeningScope {
  readonly keyId: string;
  readonly spareKeyId?: string | undefined;
}

/** A new data key under `keyId`; with `spareKeyId` under that one too. @throws KeywardError when either refuses */
export async function newEnvelopeKey(source: EnvelopeSource, { spareKeyId, ...scope }: SealingScope): Promise<Leased<EnvelopeKey>> {
  const { plaintext, ciphertext, lease, ...made } = await source.generateDataKey({ ...scope, numberOfBytes: DATA_KEY_BYTES });
  try {
    soundDataKey(plaintext, DATA_KEY_BYTES, made);
    const spare = spareKeyId === undefined ? [] : [await encrypting(source)({ ...scope, keyId: spareKeyId, plaintext })];
    const encryptedDataKeys = [{ ...made, ciphertext }, ...spare].map((key) => ({
      providerId: KEYWARD_PROVIDER,
      providerInfo: `${scope.tenant}/${key.keyId}/${key.keyVersionId}`,
      ciphertext: key.ciphertext,
    }));
    return { key: new EnvelopeKey(plaintext, encryptedDataKeys), lease };
  } catch (error) {
    plaintext.fill(0);
    throw error;
  }
}

/**
 * The data key of a message, by the first of its keys that opens. Tenant and key that the header claims are not trusted: the tenant is the
 * caller's, the key an assertion that Keyward checks.
 * @throws KeywardError, that of the first key, when none opens
 */
export async function openedEnvelopeKey(
  source: DataKeySource,
  { tenant, context, justification }: OpeningScope,
  encryptedDataKeys: readonly EncryptedDataKey[],
): Promise<Leased<EnvelopeKey>> {
  let first: KeywardError | undefined;
  for (const { providerInfo, ciphertext } of encryptedDataKeys.filter(({ providerId }) => providerId === KEYWARD_PROVIDER)) {
    try {
      const { plaintext, lease, ...made } = await source.decrypt({
        tenant,
        context,
        justification,
        ciphertext,
        keyId: providerInfo.split('/')[1],
      });
      return { key: new EnvelopeKey(soundDataKey(plaintext, DATA_KEY_BYTES, made), encryptedDataKeys), lease };
    } catch (error) {
      if (!(error instanceof KeywardError)) throw error;
      first ??= error;
    }
  }
  throw first ?? notAMessage();
}

/** @throws InvalidCall where it cannot */
export function encrypting(source: EnvelopeSource): KeywardClient['encrypt'] {
  if (source.encrypt === undefined) throw new InvalidCall('This source cannot encrypt for a spare key.', { code: 'invalid-request' });
  return source.encrypt.bind(source);
}
