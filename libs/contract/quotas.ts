import { z } from 'zod';
import { tenantId } from './identifiers.js';

interface Quota {
  /** What the number counts, or is of. */
  readonly unit: string;
  /** Where the operator has set none. */
  readonly standard: number;
  readonly least: number;
  readonly most: number;
}

const quota = (unit: string, standard: number, least: number, most: number): Quota => ({ unit, standard, least, most });

/**
 * What the operator may limit of one tenant: the only such table. Nothing that stops, revokes, narrows or destroys is under a quota, and what
 * a tenant needs for that has a least number: its admins can always get a credential, and make calls.
 */
// biome-ignore format: an aligned table is read column by column
export const QUOTAS = {
  //                     unit                                             standard  least        most
  keys:        quota('keys that are not destroyed',                       100_000,     1,  1_000_000),
  aliases:     quota('aliases',                                           100_000,     1,  1_000_000),
  secrets:     quota('secrets, also those that wait for their deletion',   10_000,     1,    100_000),
  sinks:       quota('sinks',                                                  10,     1,        100),
  credentials: quota("people's credentials in force",                       1_000,    20,    100_000),
  useRate:     quota('uses a second and plane, an item of a batch is one', 100_000,     1,  1_000_000),
  manageRate:  quota('changes a second and plane',                            300,    10,      3_000),
  readRate:    quota('reads a second and plane',                              600,    10,      6_000),
} as const satisfies Record<string, Quota>;

export type QuotaName = keyof typeof QUOTAS;
export const QUOTA_NAMES = Object.keys(QUOTAS) as [QuotaName, ...QuotaName[]];

export type RateQuota = Extract<QuotaName, `${string}Rate`>;
/** Of things that are made and stay. */
export type CountedQuota = Exclude<QuotaName, RateQuota>;

export const quotaName = z.enum(QUOTA_NAMES, { error: `must be one of ${QUOTA_NAMES.join(', ')}` });

const limit = z.int().min(1);
export const setQuotaRequest = z
  .strictObject({ limit: limit.nullable().meta({ description: 'null: the standard one again' }) })
  .meta({ id: 'SetQuotaRequest' });
export type SetQuotaRequest = z.infer<typeof setQuotaRequest>;

export const quotaAnswer = z
  .object({
    quota: quotaName,
    limit,
    used: z.int().optional().meta({ description: 'of what is made and stays; may be more than a limit that was lowered since' }),
    standard: limit,
    least: limit,
    most: limit,
    unit: z.string(),
  })
  .meta({ id: 'Quota' });
export type QuotaAnswer = z.infer<typeof quotaAnswer>;
export const quotasAnswer = z.object({ items: z.array(quotaAnswer) }).meta({ id: 'Quotas' });
export type QuotasAnswer = z.infer<typeof quotasAnswer>;

export const quotasPath = z.strictObject({ limited: tenantId });
export const quotaPath = z.strictObject({ limited: tenantId, quota: quotaName });
