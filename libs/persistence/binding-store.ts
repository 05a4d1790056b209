import type pg from 'pg';
import { z } from 'zod';
import { alias, keyId, keyVersionId, longOperationId, type RecordBody, serviceName, type TenantId, tenantId } from '#contract';
import {
  type BindingRotation,
  type BindingRotationStore,
  credentialRow,
  identityProviderRow,
  keyNamesRow,
  keyRotationRow,
  liftedStopsRow,
  policyRow,
  type Rebindable,
  rewrapRow,
  type RowToRebind,
  type RuleRow,
  secretLabelsRow,
  secretRow,
  stopRow,
} from '#core';
import { reading } from './database-error.js';
import { calling, orNone, parsed, recordedBy } from './function-answer.js';
import { recordBytes } from './record-bytes.js';
import { importColumns } from './root-store.js';
import { credentialColumns, identityProviderColumns, policyColumns, stopColumns, versionColumns } from './rule-rows.js';
import { secretRow as secretColumns } from './secret-store.js';

type Read = (tenant: TenantId, content: unknown, mac: Uint8Array) => Rebindable;

const rule =
  <Schema extends z.ZodType>(schema: Schema, rowOf: (tenant: TenantId, content: z.infer<Schema>) => RuleRow): Read =>
  (tenant, content, mac) => ({ what: 'rule', row: { ...rowOf(tenant, schema.parse(content)), mac } });

const hex = z.hex().transform((text) => Buffer.from(text, 'hex'));
const lifted = z.object({ count: z.int(), digest: hex });
const names = z.object({ keyId, aliases: z.array(alias), tags: z.record(z.string(), z.string()), primaryVersion: keyVersionId });
const rotation = z.object({ keyId, version: z.int(), intervalDays: orNone(z.int()) });
const project = z.object({
  operationId: longOperationId,
  keyId,
  fromVersionId: keyVersionId,
  toVersionId: keyVersionId,
  service: orNone(serviceName),
});
const ofKey = z.object({ keyId });

/** How each kind of migrations/bound-rows.ts is read. */
const KINDS: Readonly<Record<string, Read>> = {
  policy: rule(policyColumns, policyRow),
  stop: rule(stopColumns, stopRow),
  'lifted-stops': rule(lifted, liftedStopsRow),
  credential: rule(credentialColumns, (_tenant, credential) => credentialRow(credential)),
  'identity-provider': rule(identityProviderColumns, identityProviderRow),
  'key-names': rule(names, keyNamesRow),
  'key-rotation': rule(rotation, keyRotationRow),
  'key-version': (tenant, content, mac) => ({
    ...{ what: 'key-version', row: { ...versionColumns.extend(ofKey.shape).parse(content), tenant, mac } },
  }),
  import: (tenant, content, mac) => ({ what: 'import', row: { ...importColumns.parse(content), tenant, mac } }),
  secret: rule(secretColumns.pick({ secretId: true, name: true, type: true, keyId: true, tags: true, rotation: true }), secretRow),
  'secret-labels': rule(secretColumns.pick({ secretId: true, revision: true, labels: true }), secretLabelsRow),
  rewrap: rule(project, rewrapRow),
  tombstone: (tenant, content, mac) => ({ what: 'tombstone', row: { ...ofKey.parse(content), tenant, mac } }),
};

const row = z
  .object({ tenant_id: tenantId, kind: z.string(), id: z.string(), mac: z.instanceof(Buffer), content: z.unknown() })
  .transform(
    ({ tenant_id: tenant, content, ...found }): RowToRebind => ({ ...found, tenant, bindable: bindableIn(tenant, content, found) }),
  );

/** Undefined for a row that nobody could have bound as it stands there. */
function bindableIn(tenant: TenantId, content: unknown, { kind, mac }: Pick<RowToRebind, 'kind' | 'mac'>): Rebindable | undefined {
  try {
    return KINDS[kind]?.(tenant, content, mac);
  } catch (error) {
    if (error instanceof z.ZodError) return undefined;
    throw error;
  }
}

const rotationRow = z
  .object({ number: z.int(), rebound: z.boolean(), retire_mac: orNone(z.instanceof(Buffer)), log_id: z.string() })
  .transform(({ retire_mac: retireMac, log_id: logId, ...rest }): BindingRotation => ({ ...rest, retireMac, logId }));

/** The worker's part of a rotation of the binding key (migration 0134). */
export class DatabaseBindings implements BindingRotationStore {
  constructor(private readonly pool: pg.Pool) {}

  async bindingRotation(byJob: boolean): Promise<BindingRotation | undefined> {
    const { rows } = await reading(() => this.pool.query('SELECT * FROM keyward.binding_rotation($1)', [byJob]));
    return parsed('binding_rotation', z.array(rotationRow), rows)[0];
  }

  async rowsToRebind(number: number, most: number): Promise<readonly RowToRebind[]> {
    const { rows } = await reading(() => this.pool.query('SELECT * FROM keyward.rows_to_rebind($1, $2)', [number, most]));
    return parsed('rows_to_rebind', z.array(row), rows);
  }

  async saveRebound(number: number, { tenant, kind, id, mac: read }: RowToRebind, mac: Uint8Array | undefined): Promise<void> {
    const macs = [read, mac].map((bytes) => bytes && Buffer.from(bytes));
    await this.#answer('save_rebound', number, tenant, kind, id, ...macs);
  }

  async endRebinding(number: number, settledMs: number): Promise<boolean> {
    return parsed('end_rebinding', z.boolean(), await this.#answer('end_rebinding', number, `${settledMs} milliseconds`));
  }

  async bindingKeyDestroyed(number: number, body: RecordBody): Promise<bigint | undefined> {
    return await recordedBy(this.pool, 'binding_key_destroyed', [recordBytes(body), number], 'end of a binding key not recorded');
  }

  async #answer(name: string, ...values: readonly unknown[]): Promise<unknown> {
    const { rows } = await reading(() => this.pool.query<{ answer: unknown }>(calling(name, values), [...values]));
    return rows[0]?.answer;
  }
}
