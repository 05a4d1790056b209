import type pg from 'pg';
import { emptyTree, growTree, leafHash, parseCheckpoint, parseVkey, rootOf, verifyNote } from '#trail';

/** How far a log was signed, by the memory of the custodian's own: log as `tenant/log_…`, 32 bytes as hex. */
export interface SignedTree {
  readonly log: string;
  readonly size: number;
  readonly root: string;
}

export interface CheckedTrail {
  readonly tenant: string;
  readonly logId: string;
  readonly records: number;
  readonly signed: number;
  /** Undefined: its records are what was signed. */
  readonly problem?: string;
  /** The custodian has signed more records than there are: its tenant comes up stopped. */
  readonly wentBackFrom?: number;
}

interface LogRow {
  readonly tenant: string;
  readonly logId: string;
  readonly log: string;
  readonly vkeys: readonly string[];
  readonly size: string;
  readonly note: string | null;
}

const AT_ONCE = 2560;
const TILE = 256;

/**
 * Hashes every record of every log anew (RFC 6962) and compares the tree with the newest checkpoint, whose signature it verifies, and with
 * what the custodian remembers. Below a log's minimum index, the hashes that were kept stand for the records that were pruned.
 */
export async function checkTrails(
  client: pg.Client,
  remembered: readonly SignedTree[],
  onChecked: (trail: CheckedTrail) => void,
): Promise<readonly CheckedTrail[]> {
  const { rows } = await client.query<LogRow>(
    `SELECT l.tenant_id AS tenant, l.log_id AS "logId", l.tenant_id || '/' || l.log_id AS log, h.size, c.note,
        l.vkey || coalesce((SELECT array_agg(k.vkey) FROM keyward.log_key k WHERE k.tenant_id = l.tenant_id), '{}') AS vkeys
      FROM keyward.log l JOIN keyward.tenant_head h USING (tenant_id) LEFT JOIN keyward.trail_checkpoint c USING (tenant_id) ORDER BY 1`,
  );
  const checked: CheckedTrail[] = [];
  for (const row of rows) {
    const trail = await checkTrail(
      client,
      row,
      remembered.find(({ log }) => log === row.log),
    );
    checked.push(trail);
    onChecked(trail);
  }
  return checked;
}

async function checkTrail(client: pg.Client, { tenant, logId, vkeys, size, note }: LogRow, remembered?: SignedTree): Promise<CheckedTrail> {
  const records = Number(size);
  const checkpoint = note === null ? undefined : parseCheckpoint(note);
  const signed = Number(checkpoint?.size ?? 0);
  const told = {
    tenant,
    logId,
    records,
    signed,
    ...(remembered !== undefined && remembered.size > records && { wentBackFrom: remembered.size }),
  };
  const roots = await rootsAt(client, tenant, records, [signed, remembered?.size ?? 0]);
  if (roots === undefined) return { ...told, problem: 'records are missing' };
  if (checkpoint !== undefined) {
    if (roots.get(signed) !== hex(checkpoint.root))
      return { ...told, problem: `its first ${signed} records are not those that were signed` };
    const isSigned = await verifyNote(checkpoint.note, vkeys.map(parseVkey)).catch(() => undefined);
    if (isSigned === undefined) return { ...told, problem: 'the signature of its checkpoint does not fit' };
  }
  const other = remembered !== undefined && remembered.size <= records && roots.get(remembered.size) !== remembered.root;
  return other ? { ...told, problem: `its first ${remembered.size} records are not those that the custodian signed` } : told;
}

/** Roots of the trees of these sizes, as hex; undefined where a record is missing. A size beyond the log has none. */
async function rootsAt(client: pg.Client, tenant: string, records: number, sizes: readonly number[]) {
  const roots = new Map<number, string>();
  let tree = emptyTree();
  const note = () => (sizes.includes(tree.size) ? roots.set(tree.size, hex(rootOf(tree))) : undefined);
  note();
  for (let from = 0; from < records; from += AT_ONCE) {
    const leaves = await leavesIn(client, tenant, from, Math.min(records, from + AT_ONCE));
    if (leaves === undefined) return undefined;
    for (const leaf of leaves) {
      tree = growTree(tree, leaf, () => undefined);
      note();
    }
  }
  return roots;
}

async function leavesIn(client: pg.Client, tenant: string, from: number, to: number): Promise<readonly Uint8Array[] | undefined> {
  const { rows: records } = await client.query<{ seq: string; bytes: Buffer }>(
    'SELECT seq, bytes FROM keyward.trail_record WHERE tenant_id = $1 AND seq >= $2 AND seq < $3',
    [tenant, from, to],
  );
  const { rows: pruned } = await client.query<{ index: string; hashes: Buffer }>(
    'SELECT index, hashes FROM keyward.pruned_tile WHERE tenant_id = $1 AND index >= $2 AND index < $3',
    [tenant, Math.floor(from / TILE), Math.ceil(to / TILE)],
  );
  const leaves = new Map<number, Uint8Array>();
  for (const { index, hashes } of pruned)
    for (let at = 0; at < TILE; at++) leaves.set(Number(index) * TILE + at, hashes.subarray(32 * at, 32 * at + 32));
  for (const { seq, bytes } of records) leaves.set(Number(seq), leafHash(bytes));
  const all = Array.from({ length: to - from }, (_, at) => leaves.get(from + at));
  return all.every((leaf) => leaf !== undefined) ? all : undefined;
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
