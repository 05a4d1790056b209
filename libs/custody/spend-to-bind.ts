import type { TenantId } from '#contract';
import { PermitMisused } from '#core';
import type { LabelOperation, Permit, RuleOperation } from '#core';

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
  StartRewrap: true,
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
  CreateSecret: true,
  UpdateSecret: true,
  UpdateSecretRotationPolicy: true,
  RetireBindingKey: true,
} as const satisfies Record<RuleOperation, true>;

/** Spends a permit of an operation that changes rules, and answers the tenant whose rule it may bind. @throws PermitMisused */
export function spendToBind(permit: Permit<RuleOperation>): TenantId {
  const { operation, tenant } = permit;
  if (!Object.hasOwn(BINDING, operation)) throw new PermitMisused(`A permit for ${operation} binds no rule.`);
  permit.spend({ operation, tenant, versionId: undefined });
  return tenant;
}

const LABELLING = { CreateSecret: true, PutSecretValue: true, UpdateSecretVersionLabels: true } as const satisfies Record<
  LabelOperation,
  true
>;

/** The same of an operation that says which version of a secret is which. @throws PermitMisused */
export function spendToLabel(permit: Permit<LabelOperation>): TenantId {
  const { operation, tenant } = permit;
  if (!Object.hasOwn(LABELLING, operation)) throw new PermitMisused(`A permit for ${operation} moves no label.`);
  permit.spend({ operation, tenant, versionId: undefined });
  return tenant;
}
