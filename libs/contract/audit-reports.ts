import { z } from 'zod';
import { alias, keyId, keyVersionId, serviceName } from './identifiers.js';
import { recordedLease } from './lease.js';
import { pageQuery, whoCanEntry } from './key-operations.js';
import { OPERATION_NAMES } from './operations.js';
import { policyDocument } from './policy.js';
import { line } from './text.js';

const time = z.iso.datetime();
const size = z.coerce.number().int().min(0);

// Proofs
export const recordPath = z.object({ seq: size });
export const proofAnswer = z
  .string()
  .meta({ description: 'C2SP tlog-proof: the place, the inclusion proof, the checkpoint', id: 'RecordProof' });

export const consistencyQuery = z
  .strictObject({ from: size, to: size.optional() })
  .refine(({ from, to }) => to === undefined || from <= to, { path: ['to'], error: 'must not be smaller than from' })
  .meta({ id: 'ConsistencyQuery', description: 'sizes of two trees; without `to` the newest checkpoint' });
export type ConsistencyQuery = z.infer<typeof consistencyQuery>;
export const consistencyAnswer = z
  .object({
    from: z.int(),
    to: z.int(),
    proof: z.array(z.string()).meta({ description: 'RFC 9162 §2.1.4.1, base64' }),
    checkpoint: z.string().optional().meta({ description: 'where one of size `to` was signed' }),
  })
  .meta({ id: 'ConsistencyProof' });
export type ConsistencyAnswer = z.infer<typeof consistencyAnswer>;

// Counts
export const STAT_INTERVALS = { '1m': 60, '1h': 3600, '1d': 86_400 } as const;
export type StatInterval = keyof typeof STAT_INTERVALS;
export const MAX_STAT_INTERVALS = 400;

export const statsQuery = z
  .strictObject({
    interval: z.enum(['1m', '1h', '1d']).default('1h'),
    from: time,
    to: time.meta({ description: 'not included' }),
    keyId: keyId.optional(),
  })
  .refine(({ from, to, interval }) => Date.parse(to) - Date.parse(from) <= 1000 * STAT_INTERVALS[interval] * MAX_STAT_INTERVALS, {
    path: ['to'],
    error: `must leave at most ${MAX_STAT_INTERVALS} intervals`,
  })
  .refine(({ from, to }) => from < to, { path: ['to'], error: 'must be after from' })
  .meta({ id: 'StatsQuery' });
export type StatsQuery = z.infer<typeof statsQuery>;
export const statsAnswer = z
  .object({
    coveredSize: z.int().meta({ description: 'the first so many records are counted, and no others' }),
    items: z.array(
      z.object({
        at: time.meta({ description: 'when the interval began, UTC' }),
        operation: z.string(),
        outcome: z.string(),
        count: z.int(),
      }),
    ),
  })
  .meta({ id: 'RecordStats' });
export type StatsAnswer = z.infer<typeof statsAnswer>;

// Keys
export const inventoryItem = z
  .object({
    keyId,
    state: z.string(),
    description: z.string(),
    tags: z.record(z.string(), z.string()),
    createdAt: time,
    aliases: z.array(alias),
    managedBy: serviceName.optional().meta({ description: 'the service that the key is kept for' }),
    versions: z.array(
      z.object({
        versionId: keyVersionId,
        primary: z.boolean(),
        keySpec: z.string(),
        keyUsage: z.string(),
        origin: z.string(),
        protectionLevel: z.string(),
      }),
    ),
    lastUse: z
      .object({ at: time, operation: z.enum(OPERATION_NAMES), principal: z.string() })
      .nullable()
      .meta({ description: 'the last that succeeded, as far as records are counted' }),
    usableBy: z
      .array(whoCanEntry.omit({ keyId: true, aliases: true, secret: true }))
      .meta({ description: 'by the policy in force; nobody while it is not enabled' }),
  })
  .meta({ id: 'InventoryItem' });
export type InventoryItem = z.infer<typeof inventoryItem>;
export const inventoryQuery = pageQuery.extend({ cursor: keyId.optional() }).meta({ id: 'InventoryQuery' });
export type InventoryQuery = z.infer<typeof inventoryQuery>;

// Policies
export const policyHistoryQuery = z
  .strictObject({
    beforeVersion: z.coerce.number().int().min(1).max(2_147_483_647).optional(),
    limit: z.coerce.number().int().min(1).max(100).default(20),
  })
  .meta({ id: 'PolicyHistoryQuery' });
export type PolicyHistoryQuery = z.infer<typeof policyHistoryQuery>;
export const policyHistoryAnswer = z
  .object({
    items: z.array(z.object({ version: z.int(), digest: z.string(), author: z.string(), publishedAt: time, document: policyDocument })),
    nextBeforeVersion: z.int().optional(),
  })
  .meta({ id: 'PolicyHistory' });
export type PolicyHistoryAnswer = z.infer<typeof policyHistoryAnswer>;

// Leases
export const leasesQuery = pageQuery
  .extend({
    cursor: z.coerce.number().int().min(0).optional().meta({ description: '`nextCursor` of the page before' }),
    keyId: keyId.optional(),
    principal: line(128).optional().meta({ description: 'the name of a service' }),
  })
  .meta({ id: 'LeasesQuery' });
export type LeasesQuery = z.infer<typeof leasesQuery>;
export const openLease = recordedLease
  .extend({
    seq: z.int().meta({ description: 'of the record that tells of it' }),
    recordedAt: time,
    operation: z.enum(['GenerateDataKey', 'Decrypt']),
    service: z.string(),
    keyId,
    versionId: keyVersionId.optional(),
    count: z.int().meta({ description: 'data keys that the record tells of' }),
  })
  .meta({ id: 'OpenLease' });
export const leasesAnswer = z
  .object({
    at: time.meta({ description: 'by the clock of the database: none of these was over' }),
    items: z.array(openLease),
    nextCursor: z.string().optional().meta({
      description: 'continues the list; while it is present there may be more, even if this page has few items or none',
    }),
  })
  .meta({ id: 'Leases', description: 'what services may hold now, oldest first, by the records' });
export type LeasesAnswer = z.infer<typeof leasesAnswer>;

// Coverage
export const coverageQuery = z
  .strictObject({
    name: line(128).default('dataClass').meta({ description: 'of a label: a pair of the encryption context' }),
    values: line(4096)
      .optional()
      .transform((text) => (text === undefined ? undefined : [...new Set(text.split(',').map((value) => value.trim()))].filter(Boolean)))
      .refine((values) => values === undefined || values.length <= 100, 'must be at most 100')
      .meta({ description: 'separated by commas; without them, those that the policy in force names' }),
  })
  .meta({ id: 'CoverageQuery' });
export type CoverageQuery = z.infer<typeof coverageQuery>;
/** Uses that are alike. */
export const coveredUse = z
  .object({
    keyId,
    versionId: keyVersionId.optional(),
    service: z.string(),
    operation: z.enum(OPERATION_NAMES),
    count: z.int(),
    lastAt: time,
    contexts: z.int().meta({ description: 'different contexts among these' }),
    complete: z.boolean().meta({
      description: 'false: the key was used under more contexts than are told apart, and some of these may have had another value',
    }),
  })
  .meta({ id: 'CoveredUse' });
export const coverageAnswer = z
  .object({
    coveredSize: z.int().meta({ description: 'the first so many records are counted, and no others' }),
    name: z.string(),
    values: z
      .array(z.string())
      .meta({ description: 'that were looked for: records hold digests, so a value that nobody names cannot be told' }),
    items: z.array(coveredUse.extend({ value: z.string().nullable().meta({ description: 'null: none of the values' }) })),
  })
  .meta({ id: 'Coverage', description: 'under which label each key was used, the last used first' });
export type CoverageAnswer = z.infer<typeof coverageAnswer>;
