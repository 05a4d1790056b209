import type { OperationName, TenantId } from '#contract';
import { type Permit, PermitMisused } from '#core';

const DRAWING: ReadonlySet<OperationName> = new Set<OperationName>(['GenerateRandom', 'GetRandomPassword']);

/** Spends a permit of an operation that draws random bytes, whatever the types promise; answers for which tenant. @throws PermitMisused */
export function spendForRandom(permit: Permit<'GenerateRandom' | 'GetRandomPassword'>): TenantId {
  const { operation, tenant } = permit;
  if (!DRAWING.has(operation)) throw new PermitMisused(`A permit for ${operation} draws no random bytes.`);
  permit.spend({ operation, tenant, versionId: undefined });
  return tenant;
}
