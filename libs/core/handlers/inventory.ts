import type { InventoryItem } from '#contract';
import type { Step } from '../pipeline.js';
import type { PolicyTools } from '../ports/grants.js';
import type { AuditReads, InventoryEntry, Page } from '../ports/reads.js';
import { keptFor } from './managed-keys.js';
import { usersOf } from './who-can.js';

/** A tenant's keys for its auditors: their versions, their last use, and who may use them by the policy in force and its stops. */
export async function inventoryPage(
  reads: Pick<AuditReads, 'inventory'>,
  tools: Pick<PolicyTools, 'whoCan'>,
  { input, principal, snapshot }: Pick<Step<'ListKeyInventory'>, 'input' | 'principal' | 'snapshot'>,
): Promise<Page<InventoryItem>> {
  const usableBy = (entry: InventoryEntry) => (entry.state === 'Enabled' ? usersOf(tools, snapshot, entry) : []);
  const found = await reads.inventory(principal, { after: input.cursor, most: input.limit + 1 });
  const items = found.slice(0, input.limit);
  const last = items.at(-1);
  return {
    items: items.map((entry) => ({ ...entry, ...keptFor(entry.aliases), usableBy: usableBy(entry) })),
    ...(found.length > input.limit && last !== undefined && { nextCursor: last.keyId }),
  };
}
