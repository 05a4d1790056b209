import type { TenantId } from '#contract';
import type { CompiledPolicy, GrantPolicy, TenantPolicy } from '#core';
import { CasbinPolicy } from './casbin-policy.js';
import { assertModel } from './model.js';

/** Told of every decision that failed closed because of a fault; for a counter and a log line. Carries no plaintext and no label. */
export type FaultHook = (error: unknown, tenant: TenantId) => void;

/** The grants of DESIGN §8, with Casbin as the evaluator of record. */
export class CasbinGrants implements GrantPolicy {
  /** @throws Error if `modelText` is not policies/model.conf of this release */
  constructor(
    private readonly modelText: string,
    private readonly onFault: FaultHook = () => undefined,
  ) {
    assertModel(modelText);
  }

  /** Copies what it is given: nothing that happens to `policy` afterwards changes a decision. */
  compile(policy: TenantPolicy): CompiledPolicy {
    return new CasbinPolicy(structuredClone(policy), this.modelText, this.onFault);
  }
}
