import { randomUUID } from 'node:crypto';
import {
  type Justification,
  MAX_SECRETS_AT_ONCE,
  randomPasswordAnswer,
  type RandomPasswordRequest,
  type SecretDescription,
  secretDescription,
  type SecretFormat,
  secretPutAnswer,
  type SecretPutAnswer,
  secretValueAnswer,
  secretValuesAnswer,
} from '#contract';
import type { z } from 'zod';
import type { Told } from '../answers.js';
import { errorOfItem, type ItemResult } from '../batches.js';
import { bearerOf, type Proof } from '../bearer.js';
import { DEFAULT_DATA_PLANE } from '../client.js';
import { errorOf, InvalidCall, type KeywardError } from '../errors.js';
import { at, PlaneCalls } from '../plane-calls.js';
import type { Patience } from '../retries.js';
import { type Connection, Transport } from '../transport.js';
import { cacheOf, HeldSecrets, type SecretsCache } from './held-secrets.js';

export type { SecretsCache } from './held-secrets.js';

export type SecretsOptions = Proof & Partial<Patience> & Partial<Omit<Connection, 'keepAlive'>> & Partial<SecretsCache>;

/** Which secret, by id or name, and which of its versions: `label` (default: the current one) or `versionId`. */
export interface SecretItem {
  readonly secretId: string;
  readonly label?: string | undefined;
  readonly versionId?: string | undefined;
  /** Why: some grants ask for it, and the tenant's trail keeps it. */
  readonly justification?: Justification | undefined;
}
export interface SecretCall extends SecretItem {
  readonly tenant: string;
}
export interface PutSecretCall extends Omit<SecretCall, 'label'> {
  /** 1 to 30,720 bytes; text is UTF-8. */
  readonly value: Uint8Array | string;
  /** What it is called; default `ACSCurrent`, and what was current becomes `ACSPrevious`. */
  readonly labels?: readonly string[] | undefined;
}
/** Wipe `value` (`.fill(0)`) when you are done with it. */
export interface SecretValue extends Told {
  readonly secretId: string;
  readonly name: string;
  readonly versionId: string;
  readonly labels: readonly string[];
  readonly createdAt: string;
  readonly format: SecretFormat;
  readonly value: Uint8Array;
}
export type RandomPasswordCall = Partial<RandomPasswordRequest> & { readonly tenant: string };

/**
 * Secrets of tenants, as a service reads and writes those that were granted to it. Values are held for a minute, and fetched anew in the
 * background before that is over: reading one in every request costs nothing. Give it to a `RuleListener`, and a stop wipes what is held.
 * Every method throws a `KeywardError`; unavailable and throttled calls are tried again with jitter first.
 */
export class Secrets {
  readonly #calls: PlaneCalls;
  readonly #transport: Transport;
  readonly #held: HeldSecrets<SecretValue>;

  /** @throws InvalidCall */
  constructor({ url = DEFAULT_DATA_PLANE, ca, allowPlainHttp, ...options }: SecretsOptions) {
    this.#held = new HeldSecrets(cacheOf(options));
    this.#transport = new Transport({ url, ca, allowPlainHttp, keepAlive: true });
    this.#calls = new PlaneCalls(this.#transport, bearerOf(options), options);
  }

  /** A secret's value, from memory if it is held. */
  get({ tenant, ...item }: SecretCall): Promise<SecretValue> {
    return this.#held.get(nameOf(tenant, item), tenant, async () =>
      valueOf(await this.#calls.ask(secretValueAnswer, at`/v1/tenants/${tenant}/secrets/get-value`, item)),
    );
  }

  /** As text: a string cannot be wiped. @throws InvalidCall for a value that is no text */
  async getText(call: SecretCall): Promise<string> {
    const { value, format, name } = await this.get(call);
    if (format !== 'text') throw new InvalidCall(`The value of ${name} is binary: use get.`, { code: 'invalid-request' });
    const text = Buffer.from(value.buffer).toString('utf8');
    value.fill(0);
    return text;
  }

  /** Several of one tenant, twenty a request; each with a result of its own, in order. */
  async getMany(tenant: string, items: readonly SecretItem[]): Promise<ItemResult<SecretValue>[]> {
    const results = items.map((item): ItemResult<SecretValue> | undefined => this.#held.fresh(nameOf(tenant, item)));
    const missing = items.flatMap((item, index) => (results[index] === undefined ? [{ item, index }] : []));
    for (let from = 0; from < missing.length; from += MAX_SECRETS_AT_ONCE) {
      const asked = missing.slice(from, from + MAX_SECRETS_AT_ONCE);
      const answers = await this.#ask(
        tenant,
        asked.map(({ item }) => item),
      );
      for (const [place, { index }] of asked.entries()) results[index] = answers[place];
    }
    return results.map((result) => result!);
  }

  /**
   * A new version. Repeated after a lost answer it is the same one, for whoever may read it too; to others `already-exists` says that the
   * version is there.
   */
  async put({ tenant, value, versionId = randomUUID(), ...call }: PutSecretCall): Promise<SecretPutAnswer & Told> {
    const bytes = typeof value === 'string' ? Buffer.from(value) : Buffer.from(value.buffer, value.byteOffset, value.length);
    const format = typeof value === 'string' ? 'text' : 'binary';
    const body = { ...call, versionId, format, value: bytes.toString('base64') };
    const answer = await this.#calls.ask(secretPutAnswer, at`/v1/tenants/${tenant}/secrets/put-value`, body);
    this.#held.wipe(tenant);
    return answer;
  }

  /** What the secret is: its labels, key, rotation; no value. */
  describe({ tenant, secretId }: Pick<SecretCall, 'tenant' | 'secretId'>): Promise<SecretDescription & Told> {
    return this.#calls.ask(secretDescription, at`/v1/tenants/${tenant}/secrets/describe`, { secretId });
  }

  /** 8 to 128 characters, 32 unless told otherwise. */
  async randomPassword({ tenant, ...asked }: RandomPasswordCall): Promise<string> {
    const { password } = await this.#calls.ask(randomPasswordAnswer, at`/v1/tenants/${tenant}/secrets/random-password`, asked);
    return Buffer.from(password, 'base64').toString('latin1');
  }

  /** What is held, of one tenant or of all. */
  wipe(tenant?: string): void {
    this.#held.wipe(tenant);
  }

  /** Wipes what is held and closes idle connections; calls still work afterwards. */
  close(): void {
    this.#held.close();
    this.#transport.close();
  }

  async #ask(tenant: string, items: readonly SecretItem[]): Promise<ItemResult<SecretValue>[]> {
    const asking = this.#held.asking(tenant);
    const answer = await this.#calls.ask(secretValuesAnswer, at`/v1/tenants/${tenant}/secrets/get-value/batch`, { items });
    if (answer.items.length !== items.length) throw badAnswer(answer);
    return answer.items.map((one, index) => {
      const name = nameOf(tenant, items[index]!);
      if ('problem' in one) {
        const error = errorOfItem(one);
        asking.failed(name, error);
        return { error };
      }
      const value = valueOf({ ...one, requestId: answer.requestId });
      asking.came(name, value);
      return value;
    });
  }
}

/** One entry of the cache: everything that decides what is answered. */
const nameOf = (tenant: string, { secretId, label, versionId, justification }: SecretItem): string =>
  JSON.stringify([tenant, secretId, label ?? null, versionId ?? null, justification ?? null]);

function valueOf({ value, ...told }: z.output<typeof secretValueAnswer> & Told): SecretValue {
  if (told.record === undefined) throw badAnswer(told);
  return { ...told, value: Uint8Array.from(Buffer.from(value, 'base64')) };
}

/** No record, no answer. */
function badAnswer({ requestId }: Told): KeywardError {
  return errorOf('The answer is not one to this call, or names no record in the trail.', { code: 'bad-answer', requestId });
}
