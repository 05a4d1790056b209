import type pg from 'pg';
import { z } from 'zod';
import { keyId, keyVersionId, longOperationId, OPERATION_STATES, type RewrapAnswer, serviceName } from '#contract';
import type { RewrapName, Rewraps, SettledPage, TakenPage, WantedPage } from '#core';
import { reading } from './database-error.js';
import { calling, parsed } from './function-answer.js';
import { progressOf } from './rewrap-progress.js';

const absent = <Value>(value: Value | null): Value | undefined => value ?? undefined;
const moment = z.string().pipe(z.coerce.date()).nullable().transform(absent);

/** What the functions of migration 0100 answer. */
const rewrapRow = z
  .object({
    operationId: longOperationId,
    state: z.enum(OPERATION_STATES),
    reason: z.string().nullable().transform(absent),
    keyId,
    fromVersionId: keyVersionId,
    toVersionId: keyVersionId,
    service: serviceName,
    itemsPerSecond: z.int(),
    population: z.int().nullable().transform(absent),
    done: z.int(),
    kept: z.int(),
    failed: z.int(),
    pacedFrom: moment,
    pacedAt: moment,
    pacedBase: z.int(),
    cursor: z.string(),
    atEnd: z.boolean(),
  })
  .transform(
    ({ population, done, kept, failed, pacedFrom, pacedAt, pacedBase, reason, ...row }): RewrapAnswer => ({
      ...{ kind: 'ReWrap', ...row },
      ...(reason !== undefined && { reason }),
      progress: progressOf({ population, done, kept, failed, pacedFrom, pacedAt, pacedBase }),
    }),
  );
const takenRow = z.object({
  verdict: z.enum(['taken', 'ended', 'elsewhere', 'early']),
  waitSeconds: z.int(),
  rewrap: rewrapRow,
});

/** Projects for the data plane: its role may call these functions and nothing else. */
export class DatabaseRewraps implements Rewraps {
  constructor(private readonly pool: pg.Pool) {}

  async rewrap(name: RewrapName): Promise<RewrapAnswer | undefined> {
    return absent(await this.#ask('rewrap_of', rewrapRow.nullable(), name, []));
  }

  look(name: RewrapName, page: WantedPage): Promise<TakenPage | undefined> {
    return this.#take(name, page, false);
  }

  take(name: RewrapName, page: WantedPage): Promise<TakenPage | undefined> {
    return this.#take(name, page, true);
  }

  async settle(name: RewrapName, { page, cursor, next, done, kept, failures, seq }: SettledPage): Promise<boolean> {
    const values = [page, cursor, next ?? null, done, kept, JSON.stringify(failures), seq.toString()];
    return await this.#ask('settle_rewrap_page', z.boolean(), name, values);
  }

  async suspend(name: RewrapName, reason: string): Promise<void> {
    await this.#ask('suspend_rewrap', z.unknown(), name, [reason]);
  }

  async finish(name: RewrapName, seq: bigint): Promise<RewrapAnswer | undefined> {
    return absent(await this.#ask('finish_rewrap', rewrapRow.nullable(), name, [seq.toString()]));
  }

  async #take(name: RewrapName, { acknowledge, cursor, population }: WantedPage, forGood: boolean): Promise<TakenPage | undefined> {
    const values = [acknowledge ?? null, cursor ?? null, population ?? null, forGood];
    return absent(await this.#ask('take_rewrap_page', takenRow.nullable(), name, values));
  }

  async #ask<Schema extends z.ZodType>(
    name: string,
    schema: Schema,
    { tenant, operationId, service }: RewrapName,
    more: readonly (string | number | boolean | null)[],
  ): Promise<z.infer<Schema>> {
    const values = [tenant, operationId, service, ...more];
    const { rows } = await reading(() => this.pool.query<{ answer: unknown }>(calling(name, values), values));
    return parsed(name, schema, rows[0]?.answer ?? null);
  }
}
