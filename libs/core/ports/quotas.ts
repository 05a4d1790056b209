import type { CountedQuota, QuotaName, RateQuota, TenantId } from '#contract';

/** Of one tenant. */
export interface StoredQuotas {
  /** Those that the operator has set. */
  readonly limits: { readonly [Name in QuotaName]?: number | undefined };
  readonly used: { readonly [Name in CountedQuota]: number };
}

export type RateLimitsOfTenant = { readonly [Name in RateQuota]?: number | undefined };

export interface RateQuotaReads {
  /** Of tenants for whom the operator has set any. @throws KeywardError unavailable */
  rateQuotas(): Promise<ReadonlyMap<TenantId, RateLimitsOfTenant>>;
}
