import { z } from 'zod';
import {
  type createSecretRequest,
  type deleteSecretRequest,
  type getSecretValueRequest,
  type listSecretsQuery,
  type putSecretValueRequest,
  randomPasswordAnswer,
  type randomPasswordRequest,
  secretDescription,
  secretPutAnswer,
  secretValueAnswer,
  secretVersionsAnswer,
  type secretRotationPolicy,
  type updateSecretLabelsRequest,
  type updateSecretRequest,
} from '#contract';
import { at, type PlaneCalls } from './plane-calls.js';

/** The same request with its value as bytes. */
type Valued<Request> = Omit<Request, 'value'> & { readonly value: Uint8Array };

const bytes = z.string().transform((text) => Buffer.from(text, 'base64'));
const secretPage = z.object({ items: z.array(secretDescription), nextCursor: z.string().optional() });

/** A tenant's secrets, for its admins. Paths name a secret by its id, bodies by its id or name. */
export class AdminSecrets {
  constructor(private readonly keys: PlaneCalls) {}

  create(tenant: string, { value, ...body }: Omit<z.input<typeof createSecretRequest>, 'value'> & { readonly value?: Uint8Array }) {
    return this.keys.change(secretDescription, {
      path: at`/v1/tenants/${tenant}/secrets`,
      body: { ...body, ...(value && { value: base64(value) }) },
    });
  }
  describe(tenant: string, secretId: string) {
    return this.keys.ask(secretDescription, at`/v1/tenants/${tenant}/secrets/describe`, { secretId });
  }
  list(tenant: string, query: Partial<z.output<typeof listSecretsQuery>> = {}) {
    return this.keys.read(secretPage, at`/v1/tenants/${tenant}/secrets`, query);
  }
  versions(tenant: string, secretId: string) {
    return this.keys.read(secretVersionsAnswer, at`/v1/tenants/${tenant}/secrets/${secretId}/versions`);
  }
  /** `value` is the caller's to wipe. */
  getValue(tenant: string, body: z.input<typeof getSecretValueRequest>) {
    return this.keys.ask(secretValueAnswer.extend({ value: bytes }), at`/v1/tenants/${tenant}/secrets/get-value`, body);
  }
  /** The same value under the same `versionId` may be put again: after an `Unavailable` too. */
  putValue(tenant: string, { value, ...body }: Valued<z.input<typeof putSecretValueRequest>>) {
    const path = at`/v1/tenants/${tenant}/secrets/put-value`;
    return this.keys.change(secretPutAnswer, { path, body: { ...body, value: base64(value) } });
  }
  update(tenant: string, secretId: string, body: z.input<typeof updateSecretRequest>) {
    return this.keys.change(secretDescription, { method: 'PUT', path: at`/v1/tenants/${tenant}/secrets/${secretId}`, body });
  }
  moveLabel(tenant: string, secretId: string, body: z.input<typeof updateSecretLabelsRequest>) {
    return this.keys.change(secretDescription, { path: at`/v1/tenants/${tenant}/secrets/${secretId}/labels`, body });
  }
  delete(tenant: string, secretId: string, body: z.input<typeof deleteSecretRequest> = {}) {
    return this.keys.change(secretDescription, { path: at`/v1/tenants/${tenant}/secrets/${secretId}/delete`, body });
  }
  restore(tenant: string, secretId: string) {
    return this.keys.change(secretDescription, { path: at`/v1/tenants/${tenant}/secrets/${secretId}/restore` });
  }
  /** `null`: it is not rotated any more. */
  setRotation(tenant: string, secretId: string, policy: z.input<typeof secretRotationPolicy> | null) {
    const path = at`/v1/tenants/${tenant}/secrets/${secretId}/rotation`;
    return this.keys.change(secretDescription, { method: 'PUT', path, body: { policy } });
  }
  rotate(tenant: string, secretId: string) {
    return this.keys.change(secretDescription, { path: at`/v1/tenants/${tenant}/secrets/${secretId}/rotate` });
  }
  /** ASCII, the caller's to wipe. */
  randomPassword(tenant: string, body: z.input<typeof randomPasswordRequest> = {}) {
    return this.keys.ask(randomPasswordAnswer.extend({ password: bytes }), at`/v1/tenants/${tenant}/secrets/random-password`, body);
  }
}

const base64 = (value: Uint8Array): string => Buffer.from(value).toString('base64');
