import pg from 'pg';

export interface StoredRecord {
  readonly seq: number;
  readonly op: string;
  readonly outcome: string;
  readonly requestId: string;
  readonly body: { readonly error?: { readonly code: string; readonly reason: string }; readonly key?: { readonly state?: string } };
}

/** A tenant's log straight from the table, as the superuser: what is there, not what an API says. */
export async function trailOf(superuserUrl: string, tenant: string, fromSeq = 0): Promise<StoredRecord[]> {
  const client = new pg.Client({ connectionString: superuserUrl });
  await client.connect();
  try {
    const { rows } = await client.query<{ seq: string; text: string }>(
      "SELECT seq, convert_from(bytes, 'UTF8') AS text FROM keyward.trail_record WHERE tenant_id = $1 AND seq >= $2 ORDER BY seq",
      [tenant, fromSeq],
    );
    return rows.map(({ seq, text }) => {
      const body = JSON.parse(text) as StoredRecord['body'] & { op: string; outcome: string; request: { requestId: string } };
      return { seq: Number(seq), op: body.op, outcome: body.outcome, requestId: body.request.requestId, body };
    });
  } finally {
    await client.end();
  }
}
