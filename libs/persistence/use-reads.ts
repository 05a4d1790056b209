import type { DataSource } from 'typeorm';
import { z } from 'zod';
import {
  authMethod,
  GRANTED_OPERATIONS,
  justification,
  type KeyDescription,
  type KeyId,
  keyId,
  keyVersionId,
  secretId,
  type StopId,
  type TenantId,
} from '#contract';
import { KeywardError, type KeyUses, type RecordedUse, type UseReads } from '#core';
import { calling, isoTime, orNone, parsed, time } from './function-answer.js';
import { countPersonalFields } from './personal-fields.js';
import { readTransaction } from './tenant-transaction.js';

const seq = z.string().regex(/^\d+$/).transform(BigInt);

/** What the functions of migrations 0013, 0041 and 0182 answer. */
const usesAnswer = z.object({
  next: orNone(seq),
  uses: z.array(
    z.object({
      seq,
      at: time,
      operation: z.enum(GRANTED_OPERATIONS),
      service: z.string(),
      authMethod,
      keyId: orNone(keyId),
      secret: z
        .object({ id: secretId, versionId: z.string().optional() })
        .nullish()
        .transform((value) => value ?? undefined),
      contextDigests: z.array(z.string()),
      justification: justification.nullable(),
      allowed: z.boolean(),
      count: z.int(),
    }),
  ),
});
const beforeAnswer = z.object({
  recordedAt: time,
  lastAllowed: orNone(z.object({ seq, recordedAt: time })),
  leases: z.object({ count: z.int(), until: orNone(time), last: orNone(time), complete: z.boolean() }),
});

/** What the functions of migrations 0097 and 0101 answer. */
const usageAnswer = z.object({
  asOf: z.int(),
  size: z.int(),
  uses: z.array(
    z.object({
      service: z.string(),
      operation: z.enum(GRANTED_OPERATIONS),
      versionId: z.union([keyVersionId, z.literal('').transform(() => undefined)]),
      firstUse: orNone(isoTime),
      lastUse: orNone(isoTime),
      uses: z.int(),
      usesLately: z.int(),
      refusedLately: z.int(),
    }),
  ),
  leases: z.array(z.object({ service: z.string(), count: z.int(), until: z.string() })),
  leasesComplete: z.boolean(),
});
const lastUse = z.object({ at: isoTime, operation: z.enum(GRANTED_OPERATIONS), service: z.string() });

/** How keys were used, for their tenant's admins: read on the pool for lists, in transactions that end after two seconds. */
export class DatabaseUseReads implements UseReads {
  constructor(private readonly source: DataSource) {}

  async recordedUses(
    tenant: TenantId,
    { since, before, limit }: Parameters<UseReads['recordedUses']>[1],
  ): Promise<{ readonly uses: readonly RecordedUse[]; readonly next: bigint | undefined }> {
    const values = [tenant, since.toISOString(), before?.toString() ?? null, limit] as const;
    return await this.#ask('recorded_uses', usesAnswer, values);
  }

  /** @throws KeywardError not-found when there is no such record */
  async usesBefore(
    tenant: TenantId,
    before: bigint,
    { service, keyId: ofKey, contextDigest }: Parameters<UseReads['usesBefore']>[2],
    leasedSince: Date,
  ): ReturnType<UseReads['usesBefore']> {
    const values = [tenant, before.toString(), service ?? null, ofKey ?? null, contextDigest ?? null, leasedSince.toISOString()] as const;
    const answer = await this.#ask('uses_before', beforeAnswer.nullable(), values);
    if (answer === null) throw new KeywardError('not-found', '', { reason: 'unknown-record' });
    return answer;
  }

  async keyUses(tenant: TenantId, id: KeyId, since: Date): Promise<KeyUses> {
    return await this.#ask('key_usage', usageAnswer, [tenant, id, since.toISOString()]);
  }

  async lastUse(tenant: TenantId, id: KeyId): Promise<KeyDescription['lastUse']> {
    return await this.#ask('last_use', orNone(lastUse), [tenant, id]);
  }

  async callsSince(tenant: TenantId, since: Date): Promise<number> {
    return await this.#ask('calls_since', z.int(), [tenant, since.toISOString()]);
  }

  async personalFields(
    tenant: TenantId,
    chosen: Parameters<UseReads['personalFields']>[1],
  ): Promise<{ readonly count: number; readonly sharedFrom: number }> {
    const sharedFrom = await this.#ask('shared_from', z.int(), [tenant, chosen.fromSeq]);
    const count = await readTransaction(this.source, tenant, (manager) => countPersonalFields(manager, tenant, { ...chosen, sharedFrom }));
    return { count, sharedFrom };
  }

  async checkpointOver(tenant: TenantId, ofSeq: bigint): Promise<string | undefined> {
    return await this.#ask('checkpoint_over', orNone(z.string()), [tenant, ofSeq.toString()]);
  }

  async seqOfStop(tenant: TenantId, id: StopId): Promise<bigint | undefined> {
    return await this.#ask('seq_of_stop', orNone(seq), [tenant, id]);
  }

  async #ask<Schema extends z.ZodType>(
    name: string,
    schema: Schema,
    values: readonly [tenant: TenantId, ...(string | number | null)[]],
  ): Promise<z.infer<Schema>> {
    const rows: { answer: unknown }[] = await readTransaction(this.source, values[0], (manager) =>
      manager.query(calling(name, values), [...values]),
    );
    return parsed(name, schema, rows[0]?.answer ?? null);
  }
}
