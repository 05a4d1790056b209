import type { InventoryItem } from '#contract';
import type { Step } from '../pipeline.js';
import type { PolicyTools } from '../ports/grants.js';
import type { AuditReads, InventoryEntry, Page } from '../ports/reads.js';
import { mayAsk } from './who-can.js';

/** A tenant's keys for its auditors: their versions, their last use, and who may use them by the policy in force and its stops. */
export async function inventoryPage(
  reads: Pick<AuditReads, 'inventory'>,
  tools: Pick<PolicyTools, 'whoCan'>,
  { input, principal, snapshot }: Pick<Step<'ListKeyInventory'>, 'input' | 'principal' | 'snapshot'>,
): Promise<Page<InventoryItem>> {
  const { policy, stops, services, suspended, tenant } = snapshot.rules;
  const usableBy = ({ state, keyId, aliases, tags }: InventoryEntry): InventoryItem['usableBy'] => {
    if (state !== 'Enabled' || suspended) return [];
    return tools
      .whoCan({ tenant, document: policy?.document, stops }, { keyId, aliases, tags })
      .flatMap(({ role, operations, except, ...who }) => {
        const remaining = mayAsk(services, who.subject, operations);
        return remaining.length === 0 ? [] : [{ ...who, ...(role !== undefined && { role }), operations: remaining, except: [...except] }];
      });
  };
  const found = await reads.inventory(principal, { after: input.cursor, most: input.limit + 1 });
  const items = found.slice(0, input.limit);
  const last = items.at(-1);
  return {
    items: items.map((entry) => ({ ...entry, usableBy: usableBy(entry) })),
    ...(found.length > input.limit && last !== undefined && { nextCursor: last.keyId }),
  };
}
