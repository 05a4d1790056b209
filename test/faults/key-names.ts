import { join } from 'node:path';
import { SocketCustody } from '#custody/socket';
import { type KeyVersionId, type TenantId, keyReference } from '#contract';
import { keyNamesRow, Permit } from '#core';
import { must } from '../stories/api.js';
import type { Onboarded } from '../stories/onboarded.js';

export interface KeyNames {
  readonly aliases: readonly string[];
  readonly tags: Readonly<Record<string, string>>;
}

/** SQL that gives a key of acme's these tags, bound to it and to these aliases as if Keyward had done it. */
export type BoundNames = (keyId: string, names: KeyNames) => Promise<string>;

/**
 * No call moves an alias or tags a key yet. SQL alone cannot, either: the HSM's word is missing. Whoever holds the key plane's socket
 * can have it (docs/threat-model.md), and is what stands in here for the calls to come.
 */
export async function withKeyNames<Answer>(world: Onboarded, work: (boundNames: BoundNames) => Promise<Answer>): Promise<Answer> {
  const { platform, acme } = world;
  const custody = new SocketCustody({ socketPath: join(platform.dataDir.sockets, 'key', 'key.sock') });
  await custody.connect();
  try {
    return await work(async (keyId, { aliases, tags }) => {
      const { body } = await must(platform.urls.keyPlane, acme.admin, 'GET', `/v1/tenants/acme/keys/${keyId}`);
      const tenant = 'acme' as TenantId;
      const names = { keyId, aliases, tags, primaryVersion: body['primaryVersion'] as KeyVersionId } as Parameters<typeof keyNamesRow>[1];
      const mac = await custody.bindRule(new Permit({ operation: 'CreateAlias', tenant }), keyNamesRow(tenant, names));
      const bound = `tags = '${JSON.stringify(tags)}', names_mac = '\\x${Buffer.from(mac).toString('hex')}'`;
      return `UPDATE keyward.cmk SET ${bound} WHERE tenant_id = 'acme' AND key_id = '${keyReference.parse(keyId)}'`;
    });
  } finally {
    await custody.close();
  }
}
