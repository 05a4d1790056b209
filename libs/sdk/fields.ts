import { boundContext, type EncryptionContext } from '#contract';
import { requireLease } from './cache-limits.js';
import { encrypting, type EnvelopeSource } from './envelope-key.js';
import { DecryptFailed, InvalidCall, KeywardError } from './errors.js';
import { type FieldForm, keyVersionOf, notAField, type ParsedField, parseField } from './field-format.js';
import { FieldKey } from './field-key.js';
import { HeldKeys, type Leased } from './held-keys.js';
import { RowBinding } from './row-binding.js';
import { validContext } from './valid-context.js';

export interface FieldLimits {
  /** A data key is used no longer than this, 300,000 at most. It also bounds how long a stop leaves this process able to work. */
  readonly maxAgeMs: number;
  /** Fields and bytes that one data key encrypts at most. */
  readonly maxFields: number;
  readonly maxBytes: number;
  /** Data keys held at once. */
  readonly capacity: number;
}
export const DEFAULT_FIELD_LIMITS: FieldLimits = { maxAgeMs: 60_000, maxFields: 1_000_000, maxBytes: 1024 ** 3, capacity: 1_000 };

/** Where encrypted data keys are stored that do not stand in their fields: a table of yours. `commitment` is 64 hex digits. */
export interface EncryptedDataKeys {
  put(commitment: string, encryptedDataKey: Uint8Array): Promise<void>;
  get(commitment: string): Promise<Uint8Array | undefined>;
}

export interface FieldsOptions {
  readonly cache?: Partial<FieldLimits>;
  /** With it, fields name their data key (80 bytes on top of the plaintext) instead of carrying it (163 bytes). */
  readonly encryptedDataKeys?: EncryptedDataKeys;
  /** The data keys of fields with a spare key, encrypted under that one: another table of yours. Fields stay as they are. */
  readonly spareDataKeys?: EncryptedDataKeys;
}

export interface FieldScope {
  readonly tenant: string;
  /** A key's id or `alias/name`. */
  readonly keyId: string;
  /** Bound to every field, and stored in none: the same must be given to decrypt. */
  readonly context: EncryptionContext;
  /** A second key that opens the fields, should the first be gone: it needs `spareDataKeys`, and a grant for Encrypt. */
  readonly spareKeyId?: string | undefined;
}

/** Where encrypted data keys are kept outside of fields. */
interface Stores {
  readonly own: EncryptedDataKeys | undefined;
  readonly spare: EncryptedDataKeys | undefined;
}

/**
 * Encryption of small values in the compact field format (docs/formats.md), with one call to Keyward for many of them.
 *
 * Data keys are held separately for each tenant, key and context, no longer than the lease of the tenant's grant says. **After a stop, this process can go on with the data keys it holds for
 * up to `maxAgeMs`** (`wipe` ends that at once), and uses of a held key have no record of their own in the trail.
 */
export class Fields {
  readonly #source: EnvelopeSource;
  readonly #keys: HeldKeys<FieldKey>;
  readonly #stores: Stores;

  /** @throws RangeError for a data key that would be held longer than a stop's receipt promises, or not at all */
  constructor(source: EnvelopeSource, { cache = {}, encryptedDataKeys, spareDataKeys }: FieldsOptions = {}) {
    const { maxFields, capacity, ...limits } = { ...DEFAULT_FIELD_LIMITS, ...cache };
    requireLease(limits.maxAgeMs, capacity);
    this.#source = source;
    this.#keys = new HeldKeys({ ...limits, maxUses: maxFields }, capacity);
    this.#stores = { own: encryptedDataKeys, spare: spareDataKeys };
  }

  /** Fields of one tenant, key and context. @throws InvalidCall for a context that cannot be bound, or a spare key without a store */
  of(scope: FieldScope): BoundFields {
    if (scope.spareKeyId !== undefined && this.#stores.spare === undefined)
      throw new InvalidCall('A spare key needs spareDataKeys, where its data keys are stored.', { code: 'invalid-request' });
    return new BoundFields(this.#source, this.#keys, this.#stores, { ...scope, context: validContext(scope.context) });
  }

  /** Wipes the data keys that are held, of one tenant or of all; the next call asks Keyward again. */
  wipe(tenant?: string): void {
    this.#keys.wipe(tenant);
  }

  /** Wipes, and refuses every later call. */
  close(): void {
    this.#keys.close();
  }
}

/** Errors are `KeywardError`s; a field that was changed, or is of another tenant or context, is a `DecryptFailed`. */
export class BoundFields {
  readonly #bound: Uint8Array;
  readonly #sealing: string;
  readonly #opening: string;
  #rows: RowBinding | undefined;

  constructor(
    private readonly source: EnvelopeSource,
    private readonly keys: HeldKeys<FieldKey>,
    private readonly stores: Stores,
    private readonly scope: FieldScope,
  ) {
    this.#bound = boundContext(scope.tenant, scope.context);
    const bound = Buffer.from(this.#bound).toString('base64');
    this.#sealing = `seal ${bound} ${JSON.stringify([scope.keyId, scope.spareKeyId])}`;
    this.#opening = `open ${bound} `;
  }

  /**
   * At most 1 MiB. With `row`, where it stands, the field opens in that row only: it is bound beside the context as a pair `row`, and stored
   * as little. Its data key does not know of it, so that all rows share one and Keyward is asked once.
   */
  async encrypt(plaintext: Uint8Array, row?: string): Promise<Uint8Array> {
    const bound = row === undefined ? undefined : this.#ofRow(row);
    return await this.#withKey(
      this.#sealing,
      plaintext.length,
      () => this.#generate(),
      (key) => key.seal(plaintext, this.#form, bound),
    );
  }

  async decrypt(field: Uint8Array, row?: string): Promise<Uint8Array> {
    const bound = row === undefined ? undefined : this.#ofRow(row);
    const parsed = parseField(field);
    const name = this.#opening + parsed.commitment.toString('latin1');
    return await this.#withKey(
      name,
      parsed.ciphertext.length,
      () => this.#unwrap(parsed),
      (key) => key.open(parsed, bound),
    );
  }

  /** Whatever JSON can say. @throws InvalidCall for what it cannot, such as `undefined` */
  async encryptJson(value: unknown, row?: string): Promise<Uint8Array> {
    const json = JSON.stringify(value) as string | undefined;
    if (json === undefined) throw new InvalidCall('JSON cannot say this value.', { code: 'invalid-request' });
    const plaintext = Buffer.from(json);
    return await this.encrypt(plaintext, row).finally(() => plaintext.fill(0));
  }

  /** For a schema of yours to parse. */
  async decryptJson(field: Uint8Array, row?: string): Promise<unknown> {
    const plaintext = await this.decrypt(field, row);
    try {
      return JSON.parse(Buffer.from(plaintext).toString('utf8'));
    } catch {
      throw new DecryptFailed('The field does not hold JSON.', { code: 'decrypt-failed' });
    } finally {
      plaintext.fill(0);
    }
  }

  #withKey(name: string, bytes: number, load: () => Promise<Leased<FieldKey>>, use: (key: FieldKey) => Buffer): Promise<Buffer> {
    return this.keys.use({ name, tenant: this.scope.tenant, bytes, load }, use);
  }

  #ofRow(row: string): Uint8Array {
    this.#rows ??= new RowBinding(this.scope.tenant, this.scope.context);
    return this.#rows.bound(row);
  }

  get #form(): FieldForm {
    return this.stores.own === undefined ? 'inline' : 'reference';
  }

  async #generate(): Promise<Leased<FieldKey>> {
    const { tenant, context, keyId, spareKeyId } = this.scope;
    const { plaintext, ciphertext, lease } = await this.source.generateDataKey({ tenant, context, keyId });
    let key: FieldKey | undefined;
    try {
      key = new FieldKey(plaintext, ciphertext, this.#bound);
      const name = key.commitment.toString('hex');
      // Stored before the first field names it: a field must never be the only one to know its key.
      if (spareKeyId !== undefined) {
        const spare = await encrypting(this.source)({ tenant, context, keyId: spareKeyId, plaintext });
        await this.stores.spare?.put(name, spare.ciphertext);
      }
      await this.stores.own?.put(name, ciphertext);
      return { key, lease };
    } catch (error) {
      key?.wipe();
      throw error;
    } finally {
      plaintext.fill(0);
    }
  }

  async #unwrap({ encryptedDataKey, commitment, keyVersion }: ParsedField): Promise<Leased<FieldKey>> {
    const name = commitment.toString('hex');
    const ciphertext = encryptedDataKey ?? (await this.stores.own?.get(name));
    if (ciphertext === undefined || !keyVersionOf(ciphertext).equals(keyVersion)) throw notAField();
    try {
      return await this.#opened(ciphertext, ciphertext, commitment);
    } catch (error) {
      // As a message does: by the spare key whenever not by the first, and if by neither, the first tells why.
      const spare = error instanceof KeywardError ? await this.stores.spare?.get(name) : undefined;
      if (spare === undefined) throw error;
      return await this.#opened(spare, ciphertext, commitment).catch(() => Promise.reject(error as KeywardError));
    }
  }

  /** By `ciphertext`, which is of the first key or of the spare one; `own` is that of the first. */
  async #opened(ciphertext: Uint8Array, own: Uint8Array, commitment: Buffer): Promise<Leased<FieldKey>> {
    const { tenant, context } = this.scope;
    const { plaintext, lease } = await this.source.decrypt({ tenant, context, ciphertext });
    const key = keyFrom(plaintext, Uint8Array.from(own), this.#bound);
    if (key.commitment.equals(commitment)) return { key, lease };
    key.wipe();
    throw notAField();
  }
}

/** The data key is not needed any more, and wiped. */
function keyFrom(dataKey: Uint8Array, encryptedDataKey: Uint8Array, bound: Uint8Array): FieldKey {
  try {
    return new FieldKey(dataKey, encryptedDataKey, bound);
  } finally {
    dataKey.fill(0);
  }
}
