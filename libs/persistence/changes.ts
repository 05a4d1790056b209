import pg from 'pg';
import type { DataSource } from 'typeorm';
import type { RecordBody } from '#contract';
import { type Appended, type Change, type Changes, KeywardError, StaleSnapshot, TrailUnavailable } from '#core';
import { sqlState } from './connection.js';
import { disclosureColumns } from './disclosure-columns.js';
import { recordBytes } from './record-bytes.js';
import { changeTransaction, OutcomeUnknown } from './tenant-transaction.js';
import { TenantWrites } from './tenant-writes.js';

/** SQLSTATEs that trail_commit raises (migration 0009), and that of a deadlock. */
const REFUSALS: Readonly<Record<string, Appended>> = {
  KW001: { verdict: 'stale' },
  KW002: { verdict: 'expired' },
  '40P01': { verdict: 'stale' },
};

/** State and record in one transaction. Its pool serves nothing else, so that a stop never waits for a list. */
export class TransactionalChanges implements Changes {
  constructor(private readonly source: DataSource) {}

  async commit(change: Change): Promise<Appended> {
    const statement = commitStatement(change);
    try {
      const seq = await changeTransaction(
        this.source,
        change.tenant,
        (manager) => change.apply(new TenantWrites(manager, change.tenant)),
        () => statement,
      );
      return { verdict: 'durable', seq: BigInt(seq) };
    } catch (error) {
      if (error instanceof KeywardError) throw error;
      if (error instanceof StaleSnapshot) return { verdict: 'stale' };
      if (error instanceof OutcomeUnknown) throw new TrailUnavailable('outcome unknown');
      const state = sqlState(error);
      const refusal = state === undefined ? undefined : REFUSALS[state];
      if (refusal !== undefined) return refusal;
      throw new TrailUnavailable(`change failed: ${state ?? 'connection lost'}`);
    }
  }
}

/** A simple-protocol message takes no parameters: every value is a literal, bytes in hex. */
function commitStatement({ body, disclosures = [], tenant, epochs, validUntil, credential, told }: Change): string {
  const until = validUntil === undefined ? 'NULL' : pg.escapeLiteral(validUntil.toISOString());
  const [ofTenant, epoch, platform, owner, id] = [tenant, epochs.tenant, epochs.platform, credential.tenant, credential.credentialId].map(
    pg.escapeLiteral,
  );
  const fields = disclosureColumns(disclosures).map((column) =>
    column === null ? 'NULL' : `ARRAY[${column.map(pg.escapeLiteral).join(', ')}]`,
  );
  const values = [bytes(body), ofTenant, epoch, platform, until, owner, id, ...fields];
  return told === undefined
    ? `SELECT keyward.trail_commit(${values.join(', ')})`
    : `SELECT keyward.trail_commit_told(${[...values, pg.escapeLiteral(told.tenant), bytes(told.body)].join(', ')})`;
}

const bytes = (body: RecordBody): string => `'\\x${Buffer.from(recordBytes(body)).toString('hex')}'::bytea`;
