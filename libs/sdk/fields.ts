import { boundContext, type EncryptionContext } from '#contract';
import { requireLease } from './cache-limits.js';
import type { DataKeySource } from './envelope-key.js';
import { DecryptFailed, InvalidCall } from './errors.js';
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
}

export interface FieldScope {
  readonly tenant: string;
  /** A key's id or `alias/name`. */
  readonly keyId: string;
  /** Bound to every field, and stored in none: the same must be given to decrypt. */
  readonly context: EncryptionContext;
}

/**
 * Encryption of small values in the compact field format (docs/formats.md), with one call to Keyward for many of them.
 *
 * Data keys are held separately for each tenant, key and context, no longer than the lease of the tenant's grant says. **After a stop, this process can go on with the data keys it holds for
 * up to `maxAgeMs`** (`wipe` ends that at once), and uses of a held key have no record of their own in the trail.
 */
export class Fields {
  readonly #source: DataKeySource;
  readonly #keys: HeldKeys<FieldKey>;
  readonly #stored: EncryptedDataKeys | undefined;

  /** @throws RangeError for a data key that would be held longer than a stop's receipt promises, or not at all */
  constructor(source: DataKeySource, { cache = {}, encryptedDataKeys }: FieldsOptions = {}) {
    const { maxFields, capacity, ...limits } = { ...DEFAULT_FIELD_LIMITS, ...cache };
    requireLease(limits.maxAgeMs, capacity);
    this.#source = source;
    this.#keys = new HeldKeys({ ...limits, maxUses: maxFields }, capacity);
    this.#stored = encryptedDataKeys;
  }

  /** Fields of one tenant, key and context. @throws InvalidCall for a context that cannot be bound */
  of(scope: FieldScope): BoundFields {
    return new BoundFields(this.#source, this.#keys, this.#stored, { ...scope, context: validContext(scope.context) });
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
    private readonly source: DataKeySource,
    private readonly keys: HeldKeys<FieldKey>,
    private readonly stored: EncryptedDataKeys | undefined,
    private readonly scope: FieldScope,
  ) {
    this.#bound = boundContext(scope.tenant, scope.context);
    const bound = Buffer.from(this.#bound).toString('base64');
    this.#sealing = `seal ${bound} ${scope.keyId}`;
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
    return this.stored === undefined ? 'inline' : 'reference';
  }

  async #generate(): Promise<Leased<FieldKey>> {
    const { plaintext, ciphertext, lease } = await this.source.generateDataKey({ ...this.scope });
    const key = keyFrom(plaintext, ciphertext, this.#bound);
    try {
      // Stored before the first field names it: a field must never be the only one to know its key.
      await this.stored?.put(key.commitment.toString('hex'), ciphertext);
      return { key, lease };
    } catch (error) {
      key.wipe();
      throw error;
    }
  }

  async #unwrap({ encryptedDataKey, commitment, keyVersion }: ParsedField): Promise<Leased<FieldKey>> {
    const ciphertext = encryptedDataKey ?? (await this.stored?.get(commitment.toString('hex')));
    if (ciphertext === undefined || !keyVersionOf(ciphertext).equals(keyVersion)) throw notAField();
    const { tenant, context } = this.scope;
    const { plaintext, lease } = await this.source.decrypt({ tenant, context, ciphertext });
    const key = keyFrom(plaintext, Uint8Array.from(ciphertext), this.#bound);
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
