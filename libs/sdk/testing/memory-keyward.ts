import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { sealerTo } from '#contract/hpke';
import { boundContext, LONGEST_LEASE } from '#contract';
import type {
  CallForRecipient,
  Ciphertext,
  DataKey,
  DataKeyCall,
  DataKeyForRecipient,
  DecryptCall,
  EncryptCall,
  ItemOf,
  KeywardClient,
  Plaintext,
  PlaintextForRecipient,
} from '../client.js';
import { errorOf, KeywardError } from '../errors.js';
import type { ItemResult } from '../batches.js';
import { validContext } from '../valid-context.js';

/** Of a client, what this is in the place of. */
export type DataPlaneCalls = Pick<
  KeywardClient,
  | 'encrypt'
  | 'decrypt'
  | 'generateDataKey'
  | 'encryptBatch'
  | 'decryptBatch'
  | 'generateDataKeyBatch'
  | 'decryptForRecipient'
  | 'generateDataKeyForRecipient'
>;

interface MemoryKey {
  readonly tenant: string;
  readonly keyId: string;
  readonly keyVersionId: string;
  readonly version: Buffer;
  readonly bytes: Buffer;
  state: 'enabled' | 'disabled' | 'destroyed';
}

const STATUS = {
  'invalid-request': 400,
  'decrypt-failed': 400,
  'not-granted': 403,
  stopped: 403,
  'key-disabled': 409,
  'key-destroyed': 410,
} as const;
/** Where the parts of a ciphertext v1 stand (docs/formats.md). */
const VERSION_AT = 5;
const IV_AT = VERSION_AT + 16;
const BODY_AT = IV_AT + 12;
const TAG_BYTES = 16;

/**
 * Keyward in memory, in the place of a `KeywardClient`: the same formats and the same refusals, for unit tests. A key exists once it is
 * granted; nothing is kept, and nothing protects its keys.
 */
export class MemoryKeyward implements DataPlaneCalls {
  readonly #keys: MemoryKey[] = [];
  readonly #aliases = new Map<string, MemoryKey>();
  readonly #stopped = new Set<string>();
  #record = 0;
  #isAway = false;

  /** A key of the tenant that the service may use, under this alias. */
  grant(tenant: string, alias: string): void {
    const version = randomBytes(16);
    const name = version.toString('hex').slice(0, 26);
    const key: MemoryKey = {
      ...{ tenant, version, keyId: `key_${name}`, keyVersionId: `kver_${name}` },
      ...{ bytes: randomBytes(32), state: 'enabled' },
    };
    this.#keys.push(key);
    this.#aliases.set(`${tenant} ${alias}`, key);
  }

  /** From now on as the tenant says: `enabled` again, `disabled`, or `destroyed` for good. */
  set(tenant: string, alias: string, state: MemoryKey['state']): void {
    const key = this.#aliases.get(`${tenant} ${alias}`);
    if (key !== undefined && key.state !== 'destroyed') key.state = state;
  }

  /** Whatever the tenant granted, until `lift`. */
  stop(tenant: string): void {
    this.#stopped.add(tenant);
  }

  lift(tenant: string): void {
    this.#stopped.delete(tenant);
  }

  /** Every call ends in `Unavailable` while it is. */
  away(isAway: boolean): void {
    this.#isAway = isAway;
  }

  async encrypt({ tenant, keyId, context, plaintext }: EncryptCall): Promise<Ciphertext> {
    if (plaintext.length < 1 || plaintext.length > 6144) throw this.#refusal('invalid-request');
    const key = this.#usable(tenant, this.#named(tenant, keyId));
    return { ...this.#used(key), ciphertext: sealed(key, 1, plaintext, bound(tenant, context)) };
  }

  async decrypt({ tenant, ciphertext, context, keyId }: DecryptCall): Promise<Plaintext> {
    const bytes = Buffer.from(ciphertext);
    const version = bytes.subarray(VERSION_AT, IV_AT);
    const found = this.#keys.find((key) => key.tenant === tenant && key.version.equals(version));
    if (bytes.length < BODY_AT + TAG_BYTES) throw this.#refusal('decrypt-failed');
    const key = this.#usable(tenant, found);
    if (keyId !== undefined && this.#named(tenant, keyId) !== key) throw this.#refusal('decrypt-failed');
    try {
      return { ...this.#used(key), lease: LONGEST_LEASE, plaintext: opened(key, bytes, bound(tenant, context)) };
    } catch (error) {
      throw error instanceof KeywardError ? error : this.#refusal('decrypt-failed');
    }
  }

  async generateDataKey({ tenant, keyId, context, keySpec, numberOfBytes }: DataKeyCall): Promise<DataKey> {
    const key = this.#usable(tenant, this.#named(tenant, keyId));
    const plaintext = new Uint8Array(randomBytes(numberOfBytes ?? (keySpec === 'AES_128' ? 16 : 32)));
    const ciphertext = sealed(key, 2, plaintext, bound(tenant, context));
    return { ...this.#used(key), lease: LONGEST_LEASE, plaintext, ciphertext };
  }

  async decryptForRecipient({ recipient, ...call }: CallForRecipient<DecryptCall>): Promise<PlaintextForRecipient> {
    return this.#forRecipient(recipient, call.ciphertext, () => this.decrypt(call));
  }

  async generateDataKeyForRecipient({ recipient, ...call }: CallForRecipient<DataKeyCall>): Promise<DataKeyForRecipient> {
    return this.#forRecipient(recipient, undefined, () => this.generateDataKey(call));
  }

  async #forRecipient<Opened extends { readonly plaintext: Uint8Array; readonly ciphertext?: Uint8Array }>(
    recipient: Uint8Array,
    asked: Uint8Array | undefined,
    open: () => Promise<Opened>,
  ) {
    let seal: ReturnType<typeof sealerTo>;
    try {
      seal = sealerTo(recipient);
    } catch {
      throw this.#refusal('invalid-request');
    }
    const { plaintext, ...opened } = await open();
    return { ...opened, ciphertextForRecipient: new Uint8Array(seal(plaintext, asked ?? opened.ciphertext!)) };
  }

  encryptBatch(tenant: string, items: readonly ItemOf<EncryptCall>[]): Promise<ItemResult<Ciphertext>[]> {
    return each(items, (item) => this.encrypt({ ...item, tenant }));
  }

  decryptBatch(tenant: string, items: readonly ItemOf<DecryptCall>[]): Promise<ItemResult<Plaintext>[]> {
    return each(items, (item) => this.decrypt({ ...item, tenant }));
  }

  generateDataKeyBatch(tenant: string, items: readonly ItemOf<DataKeyCall>[]): Promise<ItemResult<DataKey>[]> {
    return each(items, (item) => this.generateDataKey({ ...item, tenant }));
  }

  #named(tenant: string, name: string): MemoryKey | undefined {
    return this.#aliases.get(`${tenant} ${name}`) ?? this.#keys.find((key) => key.tenant === tenant && key.keyId === name);
  }

  #usable(tenant: string, key: MemoryKey | undefined): MemoryKey {
    if (this.#isAway) throw errorOf('Keyward could not be reached.', { code: 'unavailable', retryable: true });
    if (key === undefined) throw this.#refusal('not-granted');
    if (this.#stopped.has(tenant)) throw this.#refusal('stopped');
    if (key.state === 'disabled') throw this.#refusal('key-disabled');
    if (key.state === 'destroyed') throw this.#refusal('key-destroyed');
    return key;
  }

  #used({ keyId, keyVersionId }: MemoryKey) {
    return { keyId, keyVersionId, record: ++this.#record, requestId: `req_${this.#record}` };
  }

  #refusal(code: keyof typeof STATUS): KeywardError {
    const record = ++this.#record;
    return errorOf(`In memory: ${code}.`, { code, status: STATUS[code], record, requestId: `req_${record}` });
  }
}

const bound = (tenant: string, context: EncryptCall['context'] = {}) => boundContext(tenant, validContext(context));

function sealed(key: MemoryKey, kind: 1 | 2, plaintext: Uint8Array, context: Uint8Array): Uint8Array {
  const head = Buffer.concat([Buffer.from('KW'), Uint8Array.of(1, kind, 1), key.version]);
  const iv = randomBytes(12);
  const cipher = createCipheriv('aes-256-gcm', key.bytes, iv).setAAD(Buffer.concat([head, context]));
  return new Uint8Array(Buffer.concat([head, iv, cipher.update(plaintext), cipher.final(), cipher.getAuthTag()]));
}

function opened(key: MemoryKey, bytes: Buffer, context: Uint8Array): Uint8Array {
  const aad = Buffer.concat([bytes.subarray(0, IV_AT), context]);
  const decipher = createDecipheriv('aes-256-gcm', key.bytes, bytes.subarray(IV_AT, BODY_AT), { authTagLength: TAG_BYTES });
  decipher.setAAD(aad).setAuthTag(bytes.subarray(-TAG_BYTES));
  return new Uint8Array(Buffer.concat([decipher.update(bytes.subarray(BODY_AT, -TAG_BYTES)), decipher.final()]));
}

async function each<Item, Answer>(items: readonly Item[], work: (item: Item) => Promise<Answer>): Promise<ItemResult<Answer>[]> {
  const settled = await Promise.allSettled(items.map(work));
  return settled.map((one) => {
    if (one.status === 'fulfilled') return one.value;
    if (one.reason instanceof KeywardError) return { error: one.reason };
    throw one.reason;
  });
}
