import type { PageQuery } from '#contract';
import type { Page } from '#core';
import { decodeCursor, encodeCursor } from './cursor.js';

/** One row more than the page tells whether there is another page. */
export function paging(list: string, { cursor, limit }: PageQuery) {
  const page = <Row, Item>(rows: readonly Row[], idOf: (row: Row) => string, itemOf: (row: Row) => Item): Page<Item> => {
    const shown = rows.slice(0, limit);
    const last = shown.at(-1);
    const more = rows.length > limit && last !== undefined;
    return { items: shown.map(itemOf), ...(more && { nextCursor: encodeCursor(list, idOf(last)) }) };
  };
  return { after: decodeCursor(list, cursor), take: limit + 1, page };
}
