import type pg from 'pg';
import { type Counted, type ReadCounter, type TrailEntry, TrailUnavailable } from '#core';
import { sqlState } from './connection.js';
import { disclosureColumns } from './disclosure-columns.js';
import { recordBytes } from './record-bytes.js';

/** Answers of count_read (migration 0021). */
const VERDICTS: Readonly<Record<number, Counted>> = { 0: { verdict: 'counted' }, [-1]: { verdict: 'stale' }, [-2]: { verdict: 'expired' } };
/** lock_not_available: somebody holds the head. */
const NOT_NOW = '55P03';

/** An auditor's own reads: counted one by one, recorded minute by minute. */
export class DatabaseReadCounter implements ReadCounter {
  constructor(private readonly pool: pg.Pool) {}

  async count({ tenant, epochs, validUntil, body, disclosures = [] }: TrailEntry): Promise<Counted> {
    const values = [tenant, body.actor.credentialId, body.op, epochs.tenant, epochs.platform, validUntil?.toISOString() ?? null];
    const verdict = await this.#ask<number>('count_read($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)', [
      ...values,
      Buffer.from(recordBytes(body)),
      ...disclosureColumns(disclosures),
    ]);
    const counted = VERDICTS[verdict];
    if (counted === undefined) throw new TrailUnavailable('unknown verdict');
    return counted;
  }

  /**
   * Makes records of the minutes that are over; answers false where a head was held and some are left for the next time.
   * Any number of processes may do so at once. @throws TrailUnavailable
   */
  async recordReads(): Promise<boolean> {
    try {
      while (await this.#ask<boolean>('record_reads()', []));
      return true;
    } catch (error) {
      if (error instanceof TrailUnavailable && error.reason.endsWith(NOT_NOW)) return false;
      throw error;
    }
  }

  async #ask<Answer>(call: string, values: readonly unknown[]): Promise<Answer> {
    try {
      const { rows } = await this.pool.query<{ answer: Answer }>(`SELECT keyward.${call} AS answer`, [...values]);
      return rows[0]!.answer;
    } catch (error) {
      throw new TrailUnavailable(`reads not counted: ${sqlState(error) ?? 'connection lost'}`);
    }
  }
}
