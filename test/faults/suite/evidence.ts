import type pg from 'pg';
import { asSuperuser } from '../../stories/signed.js';
import { type StoredRecord, trailOf } from '../trail-of.js';
import { type Caller, type Item, itemsOf } from './caller.js';
import type { FaultWorld } from './fault-world.js';
import { type LedgerCall, readLedger } from './ledger.js';

export const CUSTOMERS = ['acme', 'globex'] as const;
export const LOGS = [...CUSTOMERS, 'platform'] as const;

/** What the database says of one tenant, past every product code. */
export interface StateOf {
  readonly size: number;
  /** The newest checkpoint. */
  readonly note: string;
  readonly keys: readonly { readonly keyId: string; readonly state: string; readonly primary: string }[];
  readonly versions: readonly { readonly keyId: string; readonly versionId: string }[];
  readonly aliases: readonly { readonly alias: string; readonly keyId: string }[];
  readonly stops: readonly { readonly stopId: string; readonly lifted: boolean }[];
  readonly policies: readonly { readonly version: number; readonly grants: number }[];
  readonly credentials: readonly { readonly credentialId: string; readonly revoked: boolean }[];
}

/** All that the checker judges; nothing of it comes from a process that was tested, but for what `opened` says. */
export interface Evidence {
  readonly calls: readonly LedgerCall[];
  readonly logs: ReadonlyMap<string, readonly StoredRecord[]>;
  readonly states: ReadonlyMap<string, StateOf>;
  /** By ciphertext: what it opens to now. */
  readonly opened: ReadonlyMap<string, Item>;
  /** The size of each log when the clients began: what is before was made without a ledger. */
  readonly begun: ReadonlyMap<string, number>;
  /** How often the calendar made every rotating key due, and which these are. */
  readonly calendar: { readonly turns: number; readonly keys: readonly string[] };
  /** What stayed away for longer than patience lasts. */
  readonly unwell: readonly string[];
  /** How often each process ended though nobody killed it. */
  readonly ownEnds: ReadonlyMap<string, number>;
}

const BATCH = 100;

export const itemsIn = (of: LedgerCall['got'] | LedgerCall['about']): readonly Item[] => (of?.['items'] ?? []) as readonly Item[];

/** Of every ciphertext that a customer's service was given: whose it is, and what it must open to. */
export function acknowledged(
  calls: readonly LedgerCall[],
): Map<string, { readonly tenant: string; readonly digest: string; readonly n: number }> {
  const given = new Map<string, { tenant: string; digest: string; n: number }>();
  for (const { n, op, tenant, status, about, got } of calls) {
    if (status !== 200) continue;
    const asked = itemsIn(about);
    for (const [index, { ciphertext, digest }] of itemsIn(got).entries()) {
      if (ciphertext === undefined) continue;
      const plain = op === 'ReEncrypt' ? given.get(asked[index]?.ciphertext ?? '')?.digest : (digest ?? asked[index]?.digest);
      if (plain !== undefined) given.set(ciphertext, { tenant, digest: plain, n });
    }
  }
  return given;
}

/** `ledger`: its path. */
export async function gather(
  world: FaultWorld,
  caller: Caller,
  ledger: string,
  known: Pick<Evidence, 'calendar' | 'unwell' | 'begun'>,
): Promise<Evidence> {
  const calls = await readLedger(ledger);
  const { superuserUrl } = world.onboarded.platform;
  const states = await asSuperuser(superuserUrl, async (client) => {
    await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
    const found = new Map<string, StateOf>();
    for (const tenant of LOGS) found.set(tenant, await stateOf(client, tenant));
    return found;
  });
  const logs = new Map<string, readonly StoredRecord[]>();
  // Auditors' reads are recorded at any moment: what came since is left for the next time.
  for (const [tenant, { size }] of states) logs.set(tenant, (await trailOf(superuserUrl, tenant)).slice(0, size));
  const opened = known.unwell.length === 0 ? await openAll(world, caller, calls) : new Map<string, Item>();
  const ownEnds = new Map([...world.onboarded.platform.processes].map(([name, supervised]) => [name, supervised.ownEnds]));
  return { calls, logs, states, opened, ownEnds, ...known };
}

/** By the customer's own service, as it would long afterwards. */
async function openAll({ onboarded, customers }: FaultWorld, caller: Caller, calls: readonly LedgerCall[]): Promise<Map<string, Item>> {
  const opened = new Map<string, Item>();
  const given = [...acknowledged(calls)];
  for (const name of CUSTOMERS) {
    const own = given.filter(([, { tenant }]) => tenant === name).map(([ciphertext]) => ciphertext);
    for (let at = 0; at < own.length; at += BATCH) {
      const items = own.slice(at, at + BATCH).map((ciphertext) => ({ ciphertext, encryptionContext: { purpose: 'invoice' } }));
      const { credential, service } = customers[name];
      const question = { op: 'Decrypt', tenant: name, by: service, about: { items: items.map(({ ciphertext }) => ({ ciphertext })) } };
      const [plane] = onboarded.platform.urls.dataPlanes;
      const answer = await caller.call(
        question,
        [plane!, credential.apiKey, 'POST', `/v1/tenants/${name}/decrypt/batch`, { items }],
        itemsOf,
      );
      for (const [index, ciphertext] of own.slice(at, at + BATCH).entries()) {
        const item = answer && itemsOf(answer).items[index];
        if (item !== undefined) opened.set(ciphertext, item);
      }
    }
  }
  return opened;
}

async function stateOf(client: pg.Client, tenant: string): Promise<StateOf> {
  const rows = async <Row extends object>(text: string) => (await client.query<Row>(text, [tenant])).rows;
  const [head] = await rows<{ size: string; note: string }>(
    `SELECT h.size, c.note FROM keyward.tenant_head h LEFT JOIN keyward.trail_checkpoint c USING (tenant_id) WHERE tenant_id = $1`,
  );
  return {
    ...{ size: Number(head?.size), note: head?.note ?? '' },
    keys: await rows('SELECT key_id AS "keyId", state, primary_version AS primary FROM keyward.cmk WHERE tenant_id = $1'),
    versions: await rows('SELECT key_id AS "keyId", version_id AS "versionId" FROM keyward.key_version WHERE tenant_id = $1'),
    aliases: await rows('SELECT alias, key_id AS "keyId" FROM keyward.alias WHERE tenant_id = $1'),
    stops: await rows('SELECT stop_id AS "stopId", lifted_at IS NOT NULL AS lifted FROM keyward.stop WHERE tenant_id = $1'),
    policies: await rows(
      `SELECT version, json_array_length(document -> 'grants') AS grants FROM keyward.policy_version WHERE tenant_id = $1 ORDER BY version`,
    ),
    credentials: await rows(
      'SELECT credential_id AS "credentialId", revoked_at IS NOT NULL AS revoked FROM keyward.credential WHERE tenant_id = $1',
    ),
  };
}
