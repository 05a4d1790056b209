import type { StoredRecord } from '../../trail-of.js';
import { CUSTOMERS, type Evidence } from '../evidence.js';

const MAKES_A_VERSION = new Set(['CreateKeyVersion', 'RotateKey']);

/** Each due rotation once: one chain of versions a key, without a fork, a link for each turn of the calendar; and each end of a key once. */
export const exactlyOnce = (evidence: Evidence): string[] => CUSTOMERS.flatMap((tenant) => ofTenant(tenant, evidence));

function ofTenant(tenant: string, { logs, states, calendar }: Evidence): string[] {
  const wrong: string[] = [];
  const versions = new Map<string, string[]>();
  const rotations = new Map<string, number>();
  const ends = new Map<string, number>();
  const count = (of: Map<string, number>, { body }: StoredRecord) => of.set(body.key!.id, (of.get(body.key!.id) ?? 0) + 1);
  for (const record of logs.get(tenant)!) {
    const { op, outcome, seq, body } = record;
    if (outcome !== 'succeeded') continue;
    if (op === 'CreateKey') versions.set(body.key!.id, [body.key!.versionId!]);
    if (op === 'RotateKey') count(rotations, record);
    if (op === 'DestroyKey') count(ends, record);
    if (!MAKES_A_VERSION.has(op)) continue;
    const chain = versions.get(body.key!.id) ?? [];
    const { before, after } = body.change!['primaryVersion'] as { before: string; after: string };
    if (chain.at(-1) !== before || chain.includes(after))
      wrong.push(`${tenant} ${seq}: ${op} of ${body.key!.id} is no next link of its chain`);
    versions.set(body.key!.id, [...chain, after]);
  }
  const { keys, versions: rows } = states.get(tenant)!;
  for (const { keyId, state, primary } of keys) {
    const chain = versions.get(keyId) ?? [];
    const there = rows.filter((row) => row.keyId === keyId).length;
    if (chain.length !== there || chain.at(-1) !== primary)
      wrong.push(`${tenant}, ${keyId}: ${chain.length} versions told, ${there} there, and ${primary} is primary`);
    if ((ends.get(keyId) ?? 0) !== (state === 'Destroyed' ? 1 : 0))
      wrong.push(`${tenant}, ${keyId}: destroyed ${ends.get(keyId) ?? 0} times`);
    const due = calendar.keys.includes(keyId) ? calendar.turns : 0;
    if ((rotations.get(keyId) ?? 0) !== due)
      wrong.push(`${tenant}, ${keyId}: due ${due} times, rotated ${rotations.get(keyId) ?? 0} times`);
  }
  return wrong;
}
