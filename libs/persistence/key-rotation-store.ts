import type pg from 'pg';
import { z } from 'zod';
import { keyId, tenantId, type TenantId } from '#contract';
import type { DueRotation, KeyRotationStore, RotationChange, RotationsOf } from '#core';
import { reading } from './database-error.js';
import { calling, parsed, recorded } from './function-answer.js';
import { recordBytes } from './record-bytes.js';

const dueRow = z
  .object({ tenant_id: tenantId, key_id: keyId, due: z.string(), at: z.date() })
  .transform(({ tenant_id: tenant, key_id, due, at }) => ({ tenant, keyId: key_id, due, at }));

/** One statement, so that no rule comes in between two of its keys. */
const ROTATE = `
  SELECT keyward.rotate_key(r.body, $1, r.key_id, $2, $3, r.due, r.before, r.names, r.version, r.level, r.blob, r.mac) AS answer
    FROM unnest($4::bytea[], $5::text[], $6::timestamptz[], $7::text[], $8::bytea[], $9::text[], $10::text[], $11::bytea[], $12::bytea[])
      r (body, key_id, due, before, names, version, level, blob, mac)`;

/** The worker's part of rotations of keys; its role may call these functions and nothing else. */
export class DatabaseKeyRotations implements KeyRotationStore {
  constructor(private readonly pool: pg.Pool) {}

  async dueRotations(of?: RotationsOf): Promise<readonly DueRotation[]> {
    return (await this.#found('due_rotations', of)).map((found) => ({ ...found, worn: false }));
  }

  async wornKeys(of?: RotationsOf): Promise<readonly DueRotation[]> {
    return (await this.#found('worn_keys', of)).map((found) => ({ ...found, worn: true }));
  }

  async root(tenant: TenantId): Promise<number> {
    const { rows } = await reading(() => this.pool.query<{ answer: unknown }>(calling('root_of', [tenant]), [tenant]));
    return parsed('root_of', z.int(), rows[0]?.answer);
  }

  async rotate(changes: readonly RotationChange[]): Promise<boolean> {
    const [first] = changes;
    if (first === undefined) return true;
    const { due, epochs } = first;
    const each = <Value>(value: (change: RotationChange) => Value) => changes.map(value);
    const values = [
      ...[due.tenant, epochs.tenant, epochs.platform],
      ...[each(({ body }) => recordBytes(body)), each((change) => change.due.keyId), each((change) => change.due.due)],
      ...[each(({ before }) => before), each(({ namesMac }) => Buffer.from(namesMac)), each(({ version }) => version.versionId)],
      ...[each(({ version }) => version.protectionLevel), each(({ version }) => Buffer.from(version.blob))],
      each(({ version }) => Buffer.from(version.mac)),
    ];
    return (await recorded(this.pool, ROTATE, values, 'rotation of keys failed')) !== undefined;
  }

  async #found(name: 'due_rotations' | 'worn_keys', of: RotationsOf | undefined) {
    const { rows } = await reading(() => this.pool.query(`SELECT * FROM keyward.${name}($1, $2)`, [of?.tenant, of?.subject]));
    return parsed(name, z.array(dueRow), rows);
  }
}
