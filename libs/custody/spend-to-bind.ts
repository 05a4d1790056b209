import type { TenantId } from '#contract';
import { PermitMisused } from '#core';
import type { Permit, RuleOperation } from '#core';

/** Closed over RuleOperation: what the types promise is looked at again, because a MAC that was once given cannot be taken back. */
const BINDING = {
  OnboardTenant: true,
  Enrol: true,
  IssueCredential: true,
  IssueServiceCredential: true,
  PutIdentityProvider: true,
  CreateKey: true,
  CreateKeyVersion: true,
  PutKeyRotation: true,
  ImportKeyMaterial: true,
  TagKey: true,
  UntagKey: true,
  CreateAlias: true,
  UpdateAlias: true,
  DeleteAlias: true,
  PutPolicy: true,
  PublishPolicyDraft: true,
  RollbackPolicy: true,
  Stop: true,
  Lift: true,
} as const satisfies Record<RuleOperation, true>;

/** Spends a permit of an operation that changes rules, and answers the tenant whose rule it may bind. @throws PermitMisused */
export function spendToBind(permit: Permit<RuleOperation>): TenantId {
  const { operation, tenant } = permit;
  if (!Object.hasOwn(BINDING, operation)) throw new PermitMisused(`A permit for ${operation} binds no rule.`);
  permit.spend({ operation, tenant, versionId: undefined });
  return tenant;
}
