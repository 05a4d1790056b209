import pg from 'pg';
import type { DataSource } from 'typeorm';
import { PLATFORM, type RecordBody } from '#contract';
import { type NewCredential, TrailUnavailable } from '#core';
import { recordBytes } from './record-bytes.js';
import { changeTransaction } from './tenant-transaction.js';

export interface NewPlatform {
  readonly log: { readonly logId: string; readonly origin: string; readonly vkey: string };
  /** 32 bytes. */
  readonly contextSalt: Uint8Array;
  readonly createdAt: Date;
  readonly operatorCredential: NewCredential;
  /** Record 0 of the platform's log; its `log` is `log.logId`, its `op` one of the key plane's. */
  readonly record: RecordBody;
}

const hex = (bytes: Uint8Array) => `'\\x${Buffer.from(bytes).toString('hex')}'::bytea`;

/** Makes tenant `platform`, the first operator's credential and the first record. */
export class PlatformBootstrap {
  constructor(private readonly source: DataSource) {}

  /** Answers false, and changes nothing, where the platform exists. @throws TrailUnavailable */
  async bootstrapPlatform({ log, contextSalt, createdAt, operatorCredential: operator, record }: NewPlatform): Promise<boolean> {
    const body = recordBytes(record);
    const { logId, origin, vkey } = log;
    const { credentialId, principal, role, mac, bindingMac, ...times } = operator;
    const texts = (...values: readonly string[]) => values.map(pg.escapeLiteral).join(', ');
    const create = `keyward.bootstrap_platform(${hex(contextSalt)}, ${texts(createdAt.toISOString(), logId, origin, vkey, credentialId, principal, role)},
      ${hex(mac)}, ${texts(times.createdAt.toISOString(), times.expiresAt.toISOString())}, ${hex(bindingMac)})`;
    // The append sees the rows of the statement before it, so the epoch passes from one to the other inside the database.
    let epoch: string | undefined;
    const work = async (manager: { query(sql: string): Promise<{ epoch: string | null }[]> }) => {
      epoch = (await manager.query(`SELECT ${create} AS epoch`))[0]?.epoch ?? undefined;
    };
    const append = () =>
      epoch === undefined
        ? `SELECT '-'`
        : `SELECT (keyward.trail_append(${hex(body)}, ARRAY[${body.length}], ARRAY['platform'], ARRAY['${epoch}'::uuid], ARRAY['${epoch}'::uuid], ARRAY[NULL::timestamptz]))[1]::text`;
    try {
      const seq = await changeTransaction(this.source, PLATFORM, work, append);
      if (epoch !== undefined && seq !== '0') throw new TrailUnavailable('the first record was refused');
      return epoch !== undefined;
    } catch (error) {
      throw error instanceof TrailUnavailable ? error : new TrailUnavailable('bootstrap failed');
    }
  }
}
