import { appendLeaf, type Checkpoint, EMPTY_ROOT, emptyTree, leafHash, parseCheckpoint, rootOf } from '#trail';
import type { StoredRecord } from '../../trail-of.js';
import type { Shown } from '../auditor-clients.js';
import { type Evidence, LOGS, type StateOf } from '../evidence.js';
import type { LedgerCall } from '../ledger.js';

/** What was acknowledged is there, whatever died since: rows, records that somebody was shown, and trees that were signed. */
export const nothingLost = (evidence: Evidence): string[] => [
  ...evidence.calls.filter(({ status = 0 }) => status >= 200 && status < 300).flatMap((call) => unlessThere(call, evidence)),
  ...LOGS.flatMap((log) => ofLog(log, evidence)),
];

/** By what a call made, where its answer says that it was made. */
const MADE: Readonly<Record<string, (state: StateOf, got: Readonly<Record<string, unknown>>, about: LedgerCall['about']) => boolean>> = {
  CreateKey: ({ keys }, { keyId }) => keys.some((one) => one.keyId === keyId),
  CreateKeyVersion: ({ versions }, { primaryVersion }) => versions.some(({ versionId }) => versionId === primaryVersion),
  Stop: ({ stops }, { stopId }) => stops.some((one) => one.stopId === stopId),
  PutPolicy: ({ policies }, { version }) => policies.some((one) => one.version === version),
  ScheduleKeyDeletion: ({ keys }, _, { keyId }) =>
    keys.some((one) => one.keyId === keyId && /^(PendingDeletion|Destroyed)$/.test(one.state)),
  IssueServiceCredential: ({ credentials }, { credentialId }) => credentials.some((one) => one.credentialId === credentialId),
  RevokeServiceCredential: ({ credentials }, _, { pair }) => credentials.some((one) => one.credentialId === pair && one.revoked),
};

function unlessThere({ n, op, tenant, about, seq, requestId, got = {} }: LedgerCall, { states, logs }: Evidence): string[] {
  const isMade = MADE[op]?.(states.get(tenant)!, got, about) ?? true;
  const isRecorded = seq === undefined || logs.get(tenant)![seq]?.requestId === requestId;
  return [
    ...(isMade ? [] : [`call ${n}: what ${op} answered is not there: ${JSON.stringify(got)}`]),
    ...(isRecorded ? [] : [`call ${n}: its record, ${tenant} ${seq}, is not there`]),
  ];
}

function ofLog(log: string, { calls, logs, states }: Evidence): string[] {
  const records = logs.get(log)!;
  const { size, note } = states.get(log)!;
  const gap = records.findIndex(({ seq }, index) => seq !== index);
  const wrong = [
    ...(gap === -1 && records.length === size ? [] : [`${log}: ${records.length} records of ${size}, the first gap at ${gap}`]),
    ...records.filter(({ bytes, leafHash: stored }) => !stored.equals(leafHash(bytes))).map(({ seq }) => `${log} ${seq}: another hash`),
  ];
  const own = calls.filter(({ tenant, by, status }) => tenant === log && by === `${log}-auditor` && status === 200);
  const shown = own.flatMap(({ got }) => (got as Shown).records ?? []);
  for (const [seq, requestId, op] of shown)
    if (records[seq]?.requestId !== requestId || records[seq].op !== op) wrong.push(`${log} ${seq}: an auditor was shown another record`);
  const notes = [note, ...own.flatMap(({ got }) => (got as Shown).note ?? [])].filter((text) => text !== '');
  return [
    ...wrong,
    ...otherTrees(records, [...new Set(notes)].map(parseCheckpoint)).map((size) => `${log}: another tree of ${size} records was signed`),
  ];
}

/** The sizes of signed trees that these records do not make, or do not make any more. */
function otherTrees(records: readonly StoredRecord[], signed: readonly Checkpoint[]): bigint[] {
  const roots = new Map<bigint, Uint8Array>([[0n, EMPTY_ROOT]]);
  let tree = emptyTree();
  const wanted = new Set(signed.map(({ size }) => size));
  for (const { leafHash: stored } of records) {
    tree = appendLeaf(tree, stored);
    if (wanted.has(BigInt(tree.size))) roots.set(BigInt(tree.size), rootOf(tree));
  }
  return signed.filter(({ size, root }) => !Buffer.from(roots.get(size) ?? []).equals(root)).map(({ size }) => size);
}
