import type pg from 'pg';
import { z } from 'zod';
import type { CredentialId, TenantId } from '#contract';
import {
  type EpochReads,
  KeywardError,
  type KeyLookup,
  type RuleStore,
  type StoredCredential,
  type StoredIdentityProvider,
  type StoredKey,
  type TenantRules,
} from '#core';
import { reading } from './database-error.js';
import { calling, parsed } from './function-answer.js';
import { credentialRow, identityProviderRow, keyRow, rulesRow } from './rule-rows.js';

/** Reads for decisions, one statement each, on a small pool of their own with a time limit. */
export class DatabaseRules implements RuleStore, EpochReads {
  constructor(private readonly pool: pg.Pool) {}

  async rules(tenant: TenantId): Promise<TenantRules | undefined> {
    const row = await this.one('rules_of', rulesRow, [tenant]);
    if (row === undefined) return undefined;
    const { epoch, platformEpoch, ...rules } = row;
    return { ...rules, epochs: { tenant: epoch, platform: platformEpoch } };
  }

  /** @throws KeywardError not-found when there is no such tenant */
  async key(tenant: TenantId, lookup: KeyLookup): Promise<{ readonly epoch: string; readonly key: StoredKey | undefined }> {
    const [reference, versionId] = 'reference' in lookup ? [lookup.reference, null] : [null, lookup.versionId];
    const row = await this.one('key_of', keyRow, [tenant, reference, versionId]);
    if (row === undefined) throw new KeywardError('not-found', '', { reason: 'unknown-tenant' });
    if (row.key === null) return { epoch: row.epoch, key: undefined };
    const { keyId } = row.key;
    return { epoch: row.epoch, key: { ...row.key, versions: row.key.versions.map((version) => ({ ...version, tenant, keyId })) } };
  }

  async credential(
    tenant: TenantId,
    id: CredentialId,
  ): Promise<{ readonly epoch: string; readonly credential: StoredCredential } | undefined> {
    return await this.one('credential_of', credentialRow, [tenant, id]);
  }

  /** @throws KeywardError unavailable on the data plane, whose role may not ask */
  async credentialOfSubject(
    tenant: TenantId,
    subject: string,
  ): Promise<{ readonly epoch: string; readonly credential: StoredCredential } | undefined> {
    return await this.one('credential_of_subject', credentialRow, [tenant, subject]);
  }

  /** @throws KeywardError unavailable on the data plane, whose role may not ask */
  async identityProvider(tenant: TenantId): Promise<{ readonly epoch: string; readonly provider: StoredIdentityProvider } | undefined> {
    return await this.one('identity_provider_of', identityProviderRow, [tenant]);
  }

  /** @throws KeywardError unavailable on the other planes, whose roles may not ask */
  async epochs(tenants: readonly TenantId[]): Promise<ReadonlyMap<string, string>> {
    const epochs = await this.one('epochs_of', z.record(z.string(), z.uuid()), [`{${tenants.join(',')}}`]);
    return new Map(Object.entries(epochs ?? {}));
  }

  private async one<Schema extends z.ZodType>(
    name: string,
    schema: Schema,
    values: readonly (string | null)[],
  ): Promise<z.infer<Schema> | undefined> {
    const text = calling(name, values);
    const { rows } = await reading(() => this.pool.query<{ answer: unknown }>({ name, text, values: [...values] }));
    const answer = rows[0]?.answer ?? undefined;
    return answer === undefined ? undefined : parsed(name, schema, answer);
  }
}
