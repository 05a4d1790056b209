import type { TenantId } from '#contract';
import type { KeyNames, Reads } from '../ports/reads.js';

const PAGE = 100;

/** Every key of a tenant by its names, the oldest first. */
export async function* everyKey(reads: Pick<Reads, 'keyNames'>, tenant: TenantId): AsyncGenerator<KeyNames> {
  let cursor: string | undefined;
  do {
    const page = await reads.keyNames(tenant, { limit: PAGE, cursor });
    yield* page.items;
    cursor = page.nextCursor;
  } while (cursor !== undefined);
}
