import type pg from 'pg';
import { z } from 'zod';
import { keyId, tenantId } from '#contract';
import type { WrappedKeyVersion } from '#core';
import { versionColumns } from '../rule-rows.js';

const AT_ONCE = 500;
const hex = z.hex().transform((text) => Buffer.from(text, 'hex'));
const row = versionColumns.extend({ tenant: tenantId, keyId, mac: hex });

const HAS_MATERIAL = 'length(v.blob) > 0';

/** How many key versions have their material in the database. */
export async function versionsWithMaterial(client: pg.Client): Promise<number> {
  const { rows } = await client.query<{ versions: string }>(`SELECT count(*) AS versions FROM keyward.key_version v WHERE ${HAS_MATERIAL}`);
  return Number(rows[0]?.versions);
}

export interface SavedVersion {
  readonly tenant: string;
  readonly keyId: string;
  readonly versionId: string;
  /** As the planes show it to custody; undefined where it is no such row. */
  readonly row: WrappedKeyVersion | undefined;
}

/** Each of them, by tenant and id. `client` is a superuser's. */
export async function* eachVersion(client: pg.Client): AsyncGenerator<SavedVersion> {
  for (let after = ['', '']; ; ) {
    const { rows } = await client.query<{ version: Omit<SavedVersion, 'row'> }>(
      `SELECT json_build_object(
          'tenant', v.tenant_id, 'keyId', v.key_id, 'versionId', v.version_id, 'spec', v.spec, 'usage', v.usage, 'origin', v.origin,
          'protectionLevel', v.protection_level, 'logId', v.log_id, 'blob', encode(v.blob, 'hex'), 'mac', encode(v.mac, 'hex'),
          'publicKey', encode(v.public_key, 'hex'),
          'imported', CASE WHEN v.import_check IS NOT NULL THEN json_build_object(
            'check', encode(v.import_check, 'hex'), 'validTo', v.valid_to, 'inMemory', v.in_memory) END) AS version
        FROM keyward.key_version v WHERE ${HAS_MATERIAL} AND (v.tenant_id, v.version_id) > ($1, $2)
        ORDER BY v.tenant_id, v.version_id LIMIT ${AT_ONCE}`,
      after,
    );
    for (const { version } of rows) {
      const { tenant, keyId: key, versionId } = version;
      yield { tenant, keyId: key, versionId, row: row.safeParse(version).data };
    }
    const last = rows.at(-1)?.version;
    if (last === undefined) return;
    after = [last.tenant, last.versionId];
  }
}
