import pg from 'pg';
import type { RecordBody } from '#contract';

export interface StoredRecord {
  readonly seq: number;
  readonly op: string;
  readonly outcome: string;
  readonly requestId: string;
  readonly body: RecordBody & { readonly seq: number; readonly recordedAt: string };
  /** As stored; not computed from `bytes`. */
  readonly leafHash: Buffer;
  readonly bytes: Buffer;
}

/** A tenant's log straight from the table, as the superuser: what is there, not what an API says. */
export async function trailOf(superuserUrl: string, tenant: string, fromSeq = 0): Promise<StoredRecord[]> {
  const client = new pg.Client({ connectionString: superuserUrl });
  await client.connect();
  try {
    const { rows } = await client.query<{ seq: string; bytes: Buffer; leafHash: Buffer }>(
      'SELECT seq, bytes, leaf_hash AS "leafHash" FROM keyward.trail_record WHERE tenant_id = $1 AND seq >= $2 ORDER BY seq',
      [tenant, fromSeq],
    );
    return rows.map(({ seq, bytes, leafHash }) => {
      const body = JSON.parse(bytes.toString()) as StoredRecord['body'];
      return { seq: Number(seq), op: body.op, outcome: body.outcome, requestId: body.request.requestId, body, bytes, leafHash };
    });
  } finally {
    await client.end();
  }
}
