import type pg from 'pg';
import { z } from 'zod';
import {
  IMPORT_ALGORITHMS,
  importToken,
  KEY_SPECS,
  KEY_USAGES,
  keyId,
  type KeyId,
  keyVersionId,
  type RecordBody,
  tenantId,
  type TenantId,
} from '#contract';
import { type BoundImport, type RootRotationStore, type RotatingRoot, type StoredKey, type WrappedKeyVersion } from '#core';
import { reading } from './database-error.js';
import { calling, parsed, recordedBy } from './function-answer.js';
import { recordBytes } from './record-bytes.js';
import { DatabaseRules } from './rule-store.js';

const rotatingRow = z
  .object({ tenant_id: tenantId, root: z.int(), rewrapped: z.boolean(), log_id: z.string() })
  .transform(({ tenant_id, log_id, ...row }): RotatingRoot => ({ ...row, tenant: tenant_id, logId: log_id }));
const hex = z.hex().transform((text) => Buffer.from(text, 'hex'));
export const importColumns = z.object({
  ...{ importToken, keyId, versionId: keyVersionId, spec: z.enum(KEY_SPECS), usage: z.enum(KEY_USAGES), logId: z.string() },
  ...{ algorithm: z.enum(IMPORT_ALGORITHMS), expiresAt: z.string().transform((at) => Date.parse(at)), blob: hex },
});
const importRow = importColumns.extend({ mac: hex });
const blobs = z.array(z.object({ keyId, versionId: keyVersionId }));

/** The worker's part of rotations; its role may call these functions and nothing else. */
export class DatabaseRoots implements RootRotationStore {
  readonly #rules: DatabaseRules;

  constructor(private readonly pool: pg.Pool) {
    this.#rules = new DatabaseRules(pool);
  }

  async rotatingRoots(of?: TenantId): Promise<readonly RotatingRoot[]> {
    const { rows } = await reading(() => this.pool.query('SELECT * FROM keyward.rotating_roots($1)', [of]));
    return parsed('rotating_roots', z.array(rotatingRow), rows);
  }

  async blobsToRewrap(tenant: TenantId, most: number): Promise<z.infer<typeof blobs>> {
    return parsed('blobs_to_rewrap', blobs, await this.#answer('blobs_to_rewrap', tenant, most));
  }

  async key(tenant: TenantId, id: KeyId): Promise<StoredKey | undefined> {
    return (await this.#rules.key(tenant, { reference: id })).key;
  }

  async saveRewrapped(read: WrappedKeyVersion, { blob, mac }: WrappedKeyVersion): Promise<boolean> {
    const macs = [read.mac, blob, mac].map((bytes) => Buffer.from(bytes));
    return parsed('save_rewrapped', z.boolean(), await this.#answer('save_rewrapped', read.tenant, read.versionId, ...macs));
  }

  async importsToRewrap(tenant: TenantId, most: number): Promise<readonly BoundImport[]> {
    const rows = parsed('imports_to_rewrap', z.array(importRow), await this.#answer('imports_to_rewrap', tenant, most));
    return rows.map((row) => ({ ...row, tenant }));
  }

  async dropExpiredImports(): Promise<number> {
    return parsed('drop_expired_imports', z.int(), await this.#answer('drop_expired_imports'));
  }

  async saveRewrappedImport(read: BoundImport, { blob, mac }: BoundImport): Promise<boolean> {
    const macs = [read.mac, blob, mac].map((bytes) => Buffer.from(bytes));
    return parsed(
      'save_rewrapped_import',
      z.boolean(),
      await this.#answer('save_rewrapped_import', read.tenant, read.importToken, ...macs),
    );
  }

  async endRewrapping(tenant: TenantId): Promise<boolean> {
    return parsed('end_rewrapping', z.boolean(), await this.#answer('end_rewrapping', tenant));
  }

  async retireRoot({ tenant, root }: RotatingRoot, body: RecordBody): Promise<bigint | undefined> {
    return await recordedBy(this.pool, 'retire_root', [recordBytes(body), tenant, root], 'rotation not recorded');
  }

  async #answer(name: string, ...values: readonly unknown[]): Promise<unknown> {
    const { rows } = await reading(() => this.pool.query<{ answer: unknown }>(calling(name, values), [...values]));
    return rows[0]?.answer;
  }
}
