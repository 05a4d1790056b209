import type { TenantId } from '#contract';

/** The rule version marks of several tenants, as of now; no entry for one that does not exist. @throws KeywardError unavailable */
export interface EpochReads {
  epochs(tenants: readonly TenantId[]): Promise<ReadonlyMap<string, string>>;
}
