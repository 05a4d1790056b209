import pg from 'pg';
import { Rewraps } from '#sdk';

/**
 * A service as an ISV would write it, in a process of its own that may be killed at any moment: it moves the data keys of its own table.
 * It ends with 0 when the re-wrap succeeded.
 */
const { SERVICE_KEY: apiKey = '', USES: url = '', ROWS: connectionString = '', OPERATION: operationId = '' } = process.env;
const PAGE = 200;

const database = new pg.Client({ connectionString });
await database.connect();
const context = { purpose: 'invoice' };

const { state } = await new Rewraps({ apiKey, url }).run({
  tenant: 'acme',
  operationId,
  source: async (after = '0') => {
    const { rows } = await database.query<{ id: number; edk: Buffer }>(
      'SELECT id, edk FROM isv.invoice WHERE id > $1 ORDER BY id LIMIT $2',
      [Number(after), PAGE],
    );
    const items = rows.map(({ id, edk }) => ({ itemId: String(id), ciphertext: edk, context }));
    return rows.length < PAGE ? { items } : { items, next: String(rows.at(-1)?.id) };
  },
  sink: async (outcomes) => {
    const moved = outcomes.flatMap((one) => (one.status === 'moved' ? [one] : []));
    await database.query(
      `UPDATE isv.invoice r SET edk = m.after, writes = writes + 1
        FROM unnest($1::integer[], $2::bytea[], $3::bytea[]) m (id, before, after) WHERE r.id = m.id AND r.edk = m.before`,
      [
        moved.map(({ item }) => Number(item.itemId)),
        moved.map(({ item }) => Buffer.from(item.ciphertext)),
        moved.map(({ ciphertext }) => Buffer.from(ciphertext)),
      ],
    );
  },
});
await database.end();
process.exitCode = state === 'succeeded' ? 0 : 1;
