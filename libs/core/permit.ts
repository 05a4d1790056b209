import type { KeyVersionId, OperationName, TenantId } from '#contract';
import { PermitMisused } from './errors.js';

/** What was decided: this operation, for this tenant, on this key version (where one is used), bound to this AAD. */
export interface PermitTerms<Operation extends OperationName = OperationName> {
  readonly operation: Operation;
  readonly tenant: TenantId;
  readonly versionId?: KeyVersionId | undefined;
  readonly aad?: Uint8Array | undefined;
}

/**
 * Leave to have custody do one thing, once. Minted by core/pipeline.ts alone (an import rule sees to it), after the decision;
 * custody spends it, and refuses one that was spent or that names something else.
 */
export class Permit<Operation extends OperationName = OperationName> {
  #spent = false;
  readonly operation: Operation;
  readonly tenant: TenantId;
  readonly versionId: KeyVersionId | undefined;
  readonly aad: Uint8Array | undefined;

  constructor(terms: PermitTerms<Operation>) {
    this.operation = terms.operation;
    this.tenant = terms.tenant;
    this.versionId = terms.versionId;
    this.aad = terms.aad;
  }

  /** @throws PermitMisused when the permit was spent, or was given for another operation, tenant or key version. */
  spend(terms: Pick<PermitTerms, 'operation' | 'tenant' | 'versionId'>): void {
    const fits = this.operation === terms.operation && this.tenant === terms.tenant && this.versionId === terms.versionId;
    if (this.#spent || !fits)
      throw new PermitMisused(`A permit for ${this.operation} was ${fits ? 'spent twice' : 'used for something else'}.`);
    this.#spent = true;
  }
}
