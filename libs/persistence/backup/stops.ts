import type pg from 'pg';
import { PLATFORM } from '#contract';
import { stopOfRestored } from '#core';
import { calling } from '../function-answer.js';
import { recordBytes } from '../record-bytes.js';
import type { CheckedTrail } from './trails.js';

/** Stops each tenant whose log was signed further than it goes, as the key plane would: no plane is there yet that could serve it. */
export async function stopWhoWentBack(client: pg.Client, trails: readonly CheckedTrail[]): Promise<void> {
  // Whose records these are: the function asks for the session's role.
  await client.query('SET SESSION AUTHORIZATION keyward_key_plane');
  for (const { tenant, logId, records, wentBackFrom } of trails) {
    if (wentBackFrom === undefined || tenant === PLATFORM) continue;
    const { stop, body } = stopOfRestored({ logId, size: BigInt(records) }, BigInt(wentBackFrom), 'there are fewer', Date.now());
    const values = [recordBytes(body), tenant, stop.stopId, stop.reason, stop.fewerThan];
    await client.query(calling('stop_restored', values), values);
  }
}
