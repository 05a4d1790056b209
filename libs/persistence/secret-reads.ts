import type pg from 'pg';
import type { DataSource } from 'typeorm';
import type { KeyVersionId, ListSecretsQuery, SecretDescription, TenantId } from '#contract';
import { describeSecret, type Page, type SecretReads } from '#core';
import { parsed } from './function-answer.js';
import { paging } from './paging.js';
import { DatabaseSecrets, secretRow } from './secret-store.js';
import { readTransaction } from './tenant-transaction.js';

/** Without what only decisions read. */
const listed = secretRow.omit({ mac: true, labelsMac: true, revision: true });

const LIST = `SELECT json_build_object('secretId', s.secret_id, 'name', s.name, 'type', s.type, 'keyId', s.key_id, 'description', s.description,
    'tags', s.tags, 'createdAt', s.created_at, 'deletionAt', s.deletion_at, 'rotation', s.rotation, 'rotationState', s.rotation_state,
    'nextRotationAt', s.next_rotation_at, 'labels', s.labels) AS row
  FROM keyward.secret s WHERE s.tenant_id = $1 AND s.secret_id > $2 AND starts_with(s.name, $3) ORDER BY s.secret_id LIMIT $4`;

/** Secrets for the tenant's admins. */
export class DatabaseSecretReads extends DatabaseSecrets implements SecretReads {
  constructor(
    pool: pg.Pool,
    private readonly source: DataSource,
  ) {
    super(pool);
  }

  async secrets(tenant: TenantId, { prefix = '', ...query }: ListSecretsQuery): Promise<Page<SecretDescription>> {
    const { after = '', take, page } = paging(`secrets ${tenant} ${prefix}`, query);
    return await readTransaction(this.source, tenant, async (manager) => {
      const rows: { row: unknown }[] = await manager.query(LIST, [tenant, after, prefix, take]);
      return page(
        rows.map(({ row }) => describeSecret(parsed('secrets', listed, row))),
        ({ secretId }) => secretId,
        (secret) => secret,
      );
    });
  }

  async sealedUnder(tenant: TenantId, version: KeyVersionId): Promise<number> {
    const text = 'SELECT count(*)::integer AS sealed FROM keyward.secret_version WHERE tenant_id = $1 AND key_version = $2';
    return await readTransaction(this.source, tenant, async (manager) => {
      const rows: { sealed: number }[] = await manager.query(text, [tenant, version]);
      return rows[0]?.sealed ?? 0;
    });
  }
}
