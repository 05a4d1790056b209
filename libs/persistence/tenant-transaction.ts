import pg from 'pg';
import type { DataSource, EntityManager, QueryRunner } from 'typeorm';
import { KeywardError, StaleSnapshot } from '#core';
import type { TenantId } from '#contract';
import { ANSWER_TIMEOUT_MS, surelyFailed } from './connection.js';
import { databaseUnavailable } from './database-error.js';

const begin = (tenant: TenantId, mode: string): string =>
  `BEGIN ${mode}; SELECT set_config('app.tenant_id', ${pg.escapeLiteral(tenant)}, true)`;
/** No reader holds one of the few connections for longer. */
const READ_TIMEOUT = "SET LOCAL statement_timeout = '2s'";

/** The transaction is over, but nobody knows how. */
export class OutcomeUnknown extends Error {
  override readonly name = 'OutcomeUnknown';
}

/**
 * One transaction with row-level security set to one tenant, for this transaction only: a session-wide setting would leak to the
 * pool's next user. `last` gives the final statement, sent in ONE message with COMMIT, so that no lock it takes is held over a
 * round trip; its first column is the answer.
 * @throws what `work` throws, the driver's error when the server surely refused, OutcomeUnknown when it may have committed
 */
export async function changeTransaction(
  source: DataSource,
  tenant: TenantId,
  work: (manager: EntityManager) => Promise<void>,
  last: () => string,
): Promise<string> {
  const runner = source.createQueryRunner();
  try {
    const client = await begun(runner, begin(tenant, 'READ WRITE'));
    try {
      await work(runner.manager);
      return await lastAndCommit(client, last());
    } catch (error) {
      if (!(error instanceof OutcomeUnknown)) await rollBack(client);
      throw error;
    }
  } finally {
    await runner.release();
  }
}

/** A read-only transaction under one tenant's row-level security. @throws KeywardError unavailable for any driver's error */
export async function readTransaction<Answer>(
  source: DataSource,
  tenant: TenantId,
  work: (manager: EntityManager) => Promise<Answer>,
): Promise<Answer> {
  const runner = source.createQueryRunner();
  try {
    const client = await begun(runner, `${begin(tenant, 'READ ONLY')}; ${READ_TIMEOUT}`);
    try {
      const answer = await timed(client, work(runner.manager));
      await timed(client, client.query('COMMIT'));
      return answer;
    } catch (error) {
      await rollBack(client);
      throw error;
    }
  } catch (error) {
    throw error instanceof KeywardError || error instanceof StaleSnapshot ? error : databaseUnavailable(error);
  } finally {
    await runner.release();
  }
}

/** `manager` inserts, updates and finds; its `save` and `remove` would begin a transaction of their own. */
async function begun(runner: QueryRunner, opening: string): Promise<pg.PoolClient> {
  // TypeORM does not know whose client its driver answers with.
  const client = (await runner.connect()) as pg.PoolClient;
  await timed(client, client.query(opening));
  return client;
}

/**
 * Durable only when the driver's promise resolves, after ReadyForQuery: rows may arrive before a commit that then fails.
 * A warning means unknown: with synchronous standbys a cancelled wait answers COMMIT, with a warning that it is local only.
 */
async function lastAndCommit(client: pg.PoolClient, statement: string): Promise<string> {
  let warnings = 0;
  const onNotice = () => {
    warnings += 1;
  };
  client.on('notice', onNotice);
  try {
    // The driver answers several statements in one message with several results; its types do not say so.
    const results: pg.QueryArrayResult<unknown[]> | pg.QueryArrayResult<unknown[]>[] = await timed(
      client,
      client.query({ text: `${statement}; COMMIT`, rowMode: 'array' }),
    );
    const [answered, committed] = [results].flat();
    const answer = answered?.rows[0]?.[0];
    if (warnings > 0 || committed?.command !== 'COMMIT' || typeof answer !== 'string') throw new OutcomeUnknown('commit');
    return answer;
  } catch (error) {
    if (surelyFailed(error) || error instanceof OutcomeUnknown) throw error;
    throw new OutcomeUnknown('connection lost', { cause: error });
  } finally {
    client.off('notice', onNotice);
  }
}

async function rollBack(client: pg.PoolClient): Promise<void> {
  try {
    await timed(client, client.query('ROLLBACK'));
  } catch (error) {
    // The first error is the one to tell. A connection that cannot roll back must not return to the pool in its transaction.
    destroy(client, error);
  }
}

/** Every wait for the database ends: a connection that does not answer is destroyed, and the pool opens another. */
async function timed<Answer>(client: pg.PoolClient, answer: Promise<Answer>): Promise<Answer> {
  const timer = setTimeout(() => destroy(client, new Error('no answer in time')), ANSWER_TIMEOUT_MS);
  try {
    return await answer;
  } finally {
    clearTimeout(timer);
  }
}

function destroy(client: pg.PoolClient, reason: unknown): void {
  client.connection.stream.destroy(reason instanceof Error ? reason : undefined);
}
