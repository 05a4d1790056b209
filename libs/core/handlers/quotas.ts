import { PLATFORM, QUOTA_NAMES, QUOTAS, type QuotaAnswer, type QuotaName, type QuotasAnswer, type TenantId } from '#contract';
import { InvalidRequest, KeywardError } from '../errors.js';
import type { Handlers } from '../pipeline.js';
import type { StoredQuotas } from '../ports/quotas.js';
import type { Reads } from '../ports/reads.js';
import { changedFields } from './changed-fields.js';

type QuotaOperation = 'SetQuota' | 'DescribeTenantQuotas' | 'DescribeQuotas';

/** How much a tenant may have. The operator says so; the tenant reads it, and its log tells every change. */
export function quotaHandlers({ reads }: { readonly reads: Pick<Reads, 'quotas' | 'leavingTenant'> }): Handlers<QuotaOperation> {
  const quotasOf = async (tenant: TenantId): Promise<QuotasAnswer> => {
    const stored = await reads.quotas(tenant);
    return { items: QUOTA_NAMES.map((name) => described(name, stored)) };
  };
  const mustBeLimited = async (tenant: TenantId): Promise<void> => {
    const { state } = (tenant === PLATFORM ? undefined : await reads.leavingTenant(tenant)) ?? { state: 'Ended' };
    if (state === 'Ended') throw new KeywardError('not-found', 'There is no such tenant.');
  };
  return {
    /** What there is already stays, also above a lower limit. */
    SetQuota: async ({ input: { limited, quota, limit } }) => {
      const { least, most, standard } = QUOTAS[quota];
      if (limit !== null && (limit < least || limit > most))
        throw new InvalidRequest([{ field: 'limit', message: `must be from ${least} to ${most}` }]);
      await mustBeLimited(limited);
      const before = described(quota, await reads.quotas(limited));
      const after = limit ?? standard;
      return {
        answer: { ...before, limit: after },
        details: { change: { limitedTenant: limited, ...changedFields({ [quota]: before.limit }, { [quota]: after }) } },
        tells: limited,
        apply: (writes) => writes.setQuota(limited, quota, limit ?? undefined),
      };
    },

    DescribeTenantQuotas: async ({ input: { limited } }) => {
      await mustBeLimited(limited);
      return { answer: await quotasOf(limited), details: {} };
    },

    DescribeQuotas: async ({ call }) => ({ answer: await quotasOf(call.tenant), details: {} }),
  };
}

function described(quota: QuotaName, { limits, used }: StoredQuotas): QuotaAnswer {
  const { unit, standard, least, most } = QUOTAS[quota];
  return {
    quota,
    limit: limits[quota] ?? standard,
    ...(quota in used && { used: used[quota as keyof typeof used] }),
    standard,
    least,
    most,
    unit,
  };
}
