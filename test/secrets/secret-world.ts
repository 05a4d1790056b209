import type { GrantedOperation, KeyDescription, SecretDescription, SecretName } from '#contract';
import type { InputOf } from '#core';
import { ACME, KeyWorld } from '../keys/key-world.js';

export const bytes = (text: string) => Buffer.from(text);

/** Secrets in a world of keys, under one of its keys. */
export class SecretWorld {
  #names = 0;

  private constructor(
    readonly world: KeyWorld,
    readonly key: KeyDescription,
  ) {}

  static async start(): Promise<SecretWorld> {
    const world = await KeyWorld.start();
    return new SecretWorld(world, await world.create());
  }

  freshName(): SecretName {
    return `app/db-${++this.#names}` as SecretName;
  }

  create(given: Partial<InputOf<'CreateSecret'>> = {}): Promise<SecretDescription> {
    const asked = { name: this.freshName(), keyId: this.key.keyId, type: 'generic', description: '', format: 'text' } as const;
    return this.world.admin('CreateSecret', { ...asked, value: bytes('hunter2'), ...given });
  }

  /** As the service billing. */
  put(secret: SecretDescription, value: string, more: Partial<InputOf<'PutSecretValue'>> = {}) {
    return this.world.service('PutSecretValue', { secretId: secret.name, value: bytes(value), format: 'text', ...more });
  }

  /** As the service billing. */
  async get(secret: SecretDescription, more: Partial<InputOf<'GetSecretValue'>> = {}): Promise<string> {
    return Buffer.from((await this.world.service('GetSecretValue', { secretId: secret.name, ...more })).value).toString();
  }

  /** As an admin. */
  async read(secret: SecretDescription): Promise<string> {
    return Buffer.from((await this.world.admin('GetSecretValue', { secretId: secret.secretId })).value).toString();
  }

  describe(secret: SecretDescription): Promise<SecretDescription> {
    return this.world.admin('DescribeSecret', { secretId: secret.secretId });
  }

  sql(text: string, values: unknown[] = []) {
    return this.world.database.as('superuser', (client) => client.query(text, values));
  }
}

export const document = (objects: string[], operations: (GrantedOperation | '@all')[], keyId: string, onKey: GrantedOperation[]) => ({
  tenant: ACME,
  stops: [],
  document: {
    schema: 'keyward.policy/1' as const,
    roles: {},
    grants: [
      { id: 'secrets', subjects: ['svc:billing'], objects, operations },
      ...(onKey.length === 0 ? [] : [{ id: 'key', subjects: ['svc:billing'], objects: [keyId], operations: onKey }]),
    ],
    guardrails: [],
  },
});
