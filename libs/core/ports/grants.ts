import type { Alias, DataOperation, EncryptionContext, KeyId, PolicyDocument, StopId, StopTarget, TenantId } from '#contract';

export interface ActiveStop {
  readonly stopId: StopId;
  readonly target: StopTarget;
}

/** What one tenant's decisions rest on; compiled once a snapshot. */
export interface TenantPolicy {
  readonly tenant: TenantId;
  readonly document: PolicyDocument | undefined;
  readonly stops: readonly ActiveStop[];
}

export interface GrantRequest {
  /** `svc:name` or `wl:cluster/name`. */
  readonly subject: string;
  readonly operation: DataOperation;
  readonly keyId: KeyId;
  readonly aliases: readonly Alias[];
  readonly tags: Readonly<Record<string, string>>;
  /** undefined for an operation that has no context (Sign, MAC): never satisfies a condition on one, always meets a stop of one. */
  readonly context: EncryptionContext | undefined;
  /** The server's clock, milliseconds. */
  readonly at: number;
}

/**
 * Every rule that spoke, so that the pipeline can tell the caller little and the record everything.
 * Allowed = a grant, no guardrail, no stop.
 */
export interface GrantDecision {
  readonly grant: string | undefined;
  readonly guardrail: string | undefined;
  readonly stop: StopId | undefined;
  /** Until when this answer holds if no rule changes, milliseconds; undefined = for good. */
  readonly validUntil: number | undefined;
}

export interface CompiledPolicy {
  /** Never throws: an exception inside a rule is a decision without a grant. */
  decide(request: GrantRequest): GrantDecision;
}

export interface GrantPolicy {
  compile(policy: TenantPolicy): CompiledPolicy;
}

/** For a plane that decides by roles alone. */
export const noGrants: GrantPolicy = {
  compile: () => ({ decide: () => ({ grant: undefined, guardrail: undefined, stop: undefined, validUntil: undefined }) }),
};
