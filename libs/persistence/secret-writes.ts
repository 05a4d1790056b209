import type { EntityManager } from 'typeorm';
import type { SecretId, TenantId } from '#contract';
import { KeywardError, type LabelChange, type SecretChange, type SecretWrites, StaleSnapshot, type StoredSecret } from '#core';
import { sqlState } from './connection.js';
import { writing } from './database-error.js';
import { takeQuota } from './quotas.js';

const ABSENT = 'There is no such secret.';
/** Each field of a change, and its column. */
const COLUMNS = {
  description: 'description',
  tags: 'tags',
  deletionAt: 'deletion_at',
  rotation: 'rotation',
  rotationState: 'rotation_state',
  nextRotationAt: 'next_rotation_at',
  mac: 'mac',
} as const satisfies Record<keyof SecretChange, string>;

/** A tenant's secrets, in the transaction of one change. */
export class TenantSecretWrites implements SecretWrites {
  constructor(
    private readonly manager: EntityManager,
    private readonly tenantId: TenantId,
  ) {}

  async insert(secret: StoredSecret): Promise<void> {
    const { secretId, name, type, keyId, createdAt, labels, revision, labelsMac } = secret;
    const fixed = [this.tenantId, secretId, name, type, keyId, createdAt, JSON.stringify(labels), revision, Buffer.from(labelsMac)];
    const { columns, values } = columnsOf({ ...secret });
    await takeQuota(this.manager, 'secrets');
    const text = `INSERT INTO keyward.secret (tenant_id, secret_id, name, type, key_id, created_at, labels, revision, labels_mac, ${columns.join(', ')})
      VALUES (${[...fixed, ...values].map((_, index) => `$${index + 1}`).join(', ')})`;
    await writing(name, () => this.manager.query(text, [...fixed, ...values]));
  }

  async update(secretId: SecretId, change: SecretChange): Promise<void> {
    const { columns, values } = columnsOf(change);
    // A rotation that began meanwhile moved no epoch.
    const rests = 'rotationState' in change ? ` AND rotation_state <> 'Running'` : '';
    const text = `UPDATE keyward.secret SET ${columns.map((column, index) => `${column} = $${index + 3}`).join(', ')}
      WHERE tenant_id = $1 AND secret_id = $2${rests} RETURNING 1`;
    if ((await this.#count(text, [this.tenantId, secretId, ...values])) > 0) return;
    throw rests === '' ? new KeywardError('not-found', ABSENT) : new StaleSnapshot();
  }

  async putVersion({ secretId, revision, labels, labelsMac, added, dropped }: LabelChange): Promise<void> {
    const { versionId = null, format = null, createdAt = null, keyVersionId = null, edk, sealed } = added ?? {};
    const version = [
      versionId,
      format,
      createdAt,
      keyVersionId,
      edk === undefined ? null : Buffer.from(edk),
      sealed && Buffer.from(sealed),
    ];
    const values = [this.tenantId, secretId, revision, JSON.stringify(labels), Buffer.from(labelsMac), ...version, dropped ?? null];
    const text = `SELECT keyward.put_secret_version(${values.map((_, index) => `$${index + 1}`).join(', ')})`;
    await writing('secret', async () => {
      try {
        await this.manager.query(text, values);
      } catch (error) {
        if (sqlState(error) === 'KW001') throw new StaleSnapshot();
        throw error;
      }
    });
  }

  async delete(secretId: SecretId): Promise<void> {
    const text = 'DELETE FROM keyward.secret WHERE tenant_id = $1 AND secret_id = $2 RETURNING 1';
    if ((await this.#count(text, [this.tenantId, secretId])) === 0) throw new KeywardError('not-found', ABSENT);
  }

  /** TypeORM answers a statement that changes rows with these, and their number. */
  async #count(text: string, values: unknown[]): Promise<number> {
    const [rows]: [unknown[], number] = await writing('secret', () => this.manager.query(text, values));
    return rows.length;
  }
}

function columnsOf(change: SecretChange): { readonly columns: string[]; readonly values: unknown[] } {
  const fields = (Object.keys(COLUMNS) as (keyof SecretChange)[]).filter((field) => field in change);
  return { columns: fields.map((field) => COLUMNS[field]), values: fields.map((field) => stored(change[field])) };
}

/** A field that is there and undefined is taken away. */
function stored(value: SecretChange[keyof SecretChange]): unknown {
  if (value === undefined) return null;
  if (value instanceof Uint8Array) return Buffer.from(value);
  return typeof value === 'string' || value instanceof Date ? value : JSON.stringify(value);
}
