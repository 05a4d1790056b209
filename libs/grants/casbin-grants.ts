import type { TenantId } from '#contract';
import type { CompiledPolicy, GrantPolicy, TenantPolicy } from '#core';
import { CasbinPolicy, NO_GRANT } from './casbin-policy.js';
import { assertModel } from './model.js';

/** Told of every decision that failed closed because of a fault; for a counter and a log line. Carries no plaintext and no label. */
export type FaultHook = (error: unknown, tenant: TenantId) => void;

/** The grants of DESIGN §8, with Casbin as the evaluator of record. */
export class CasbinGrants implements GrantPolicy {
  readonly #onFault: FaultHook;

  /** @throws Error if `modelText` is not policies/model.conf of this release */
  constructor(
    private readonly modelText: string,
    onFault: FaultHook = () => undefined,
  ) {
    assertModel(modelText);
    this.#onFault = (error, tenant) => {
      try {
        onFault(error, tenant);
      } catch {
        // The hook only counts; a decision does not depend on it, and decide() never throws.
      }
    };
  }

  /** Copies what it is given: nothing that happens to `policy` afterwards changes a decision. Never throws: what is no policy allows nothing. */
  compile(policy: TenantPolicy): CompiledPolicy {
    try {
      return new CasbinPolicy(policy, this.modelText, this.#onFault);
    } catch (error) {
      return closedPolicy(error, policy.tenant, this.#onFault);
    }
  }
}

/** In the place of rules that cannot be read. */
function closedPolicy(error: unknown, tenant: TenantId, onFault: FaultHook): CompiledPolicy {
  const decide = () => {
    onFault(error, tenant);
    return NO_GRANT;
  };
  return { decide, explain: () => [], couldAllow: () => false };
}
