import type pg from 'pg';
import { z } from 'zod';
import { keyId, tenantId, type TenantId } from '#contract';
import type { Due, DueRotation, KeyRotationStore, RotationChange } from '#core';
import { reading } from './database-error.js';
import { calling, parsed, recordedBy } from './function-answer.js';
import { recordBytes } from './record-bytes.js';

const dueRow = z
  .object({ tenant_id: tenantId, key_id: keyId, due: z.string(), at: z.date() })
  .transform(({ tenant_id: tenant, key_id, due, at }) => ({ tenant, keyId: key_id, due, at }));

/** The worker's part of rotations of keys; its role may call these functions and nothing else. */
export class DatabaseKeyRotations implements KeyRotationStore {
  constructor(private readonly pool: pg.Pool) {}

  async dueRotations(of?: Due): Promise<readonly DueRotation[]> {
    return (await this.#found('due_rotations', of)).map((found) => ({ ...found, worn: false }));
  }

  async wornKeys(of?: Due): Promise<readonly DueRotation[]> {
    return (await this.#found('worn_keys', of)).map((found) => ({ ...found, worn: true }));
  }

  async root(tenant: TenantId): Promise<number> {
    const { rows } = await reading(() => this.pool.query<{ answer: unknown }>(calling('root_of', [tenant]), [tenant]));
    return parsed('root_of', z.int(), rows[0]?.answer);
  }

  async rotate({ due, epochs, before, version, namesMac, body }: RotationChange): Promise<bigint | undefined> {
    const { versionId, protectionLevel, blob, mac } = version;
    const values = [
      ...[recordBytes(body), due.tenant, due.keyId, epochs.tenant, epochs.platform, due.due, before, Buffer.from(namesMac)],
      ...[versionId, protectionLevel, Buffer.from(blob), Buffer.from(mac)],
    ];
    return await recordedBy(this.pool, 'rotate_key', values, 'rotation of a key failed');
  }

  async #found(name: 'due_rotations' | 'worn_keys', of: Due | undefined) {
    const { rows } = await reading(() => this.pool.query(`SELECT * FROM keyward.${name}($1, $2)`, [of?.tenant, of?.subject]));
    return parsed(name, z.array(dueRow), rows);
  }
}
