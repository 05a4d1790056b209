import { Rewraps } from '#sdk';
import type { MovedRow, PageOfRows, ServiceSettings } from './isv-table.js';

/**
 * The ISV's service, in a process of its own that may be killed at any moment; its table is its parent's. It ends with 0 when the re-wrap
 * succeeded.
 */
const { apiKey, url, operationId, population, context } = JSON.parse(process.env['SETTINGS'] ?? '') as ServiceSettings;
process.on('disconnect', () => process.exit(1));

/** One question at a time. */
const ask = (message: object) =>
  new Promise<unknown>((resolve) => {
    process.once('message', resolve);
    process.send!(message);
  });

const { state } = await new Rewraps({ apiKey, url }).run({
  ...{ tenant: 'acme', operationId, population },
  source: async (cursor = '0') => {
    const { from, edks, next } = (await ask({ from: Number(cursor) })) as PageOfRows;
    const items = edks.map((ciphertext, index) => ({ itemId: String(from + index), ciphertext, context }));
    return { items, ...(next !== undefined && { next: String(next) }) };
  },
  sink: async (outcomes) => {
    const moved = outcomes.flatMap((one): MovedRow[] =>
      one.status === 'moved' ? [{ row: Number(one.item.itemId), before: one.item.ciphertext, after: one.ciphertext }] : [],
    );
    await ask({ moved });
  },
});
process.exit(state === 'succeeded' ? 0 : 1);
