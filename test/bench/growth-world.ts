import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { type RecordBody, tenantId } from '#contract';
import { newRecordId } from '#core';
import { Appender } from '#persistence';
import { KeywardAdmin } from '#sdk';
import { latenciesOf, type Target, targetsOf } from './growth-load.js';
import { addTenant, type World } from './world.js';

const AT_ONCE = 8;
const RECORDS_AT_ONCE = 500;

/** So many tenants, each with a key and a grant of its own; all are called in turn. */
export async function moreTenants(world: World, size: number): Promise<readonly Target[]> {
  const names = ['acme', ...Array.from({ length: size - 1 }, (_, n) => `tenant-${n + 1}`)];
  const { rows } = await world.database.query<{ tenant_id: string }>('SELECT tenant_id FROM keyward.tenant');
  const there = new Set(rows.map((row) => row.tenant_id));
  // One by one: each changes the platform's rules.
  for (const name of names) if (!there.has(name)) await addTenant(world.platform, name);
  return targetsOf(world, names);
}

/** So many keys of one tenant, born in the HSM like any; its grant is for all of them, and all are called in turn. */
export async function moreKeys(world: World, size: number): Promise<readonly Target[]> {
  const admin = new KeywardAdmin({ apiKey: world.admin, keyPlane: world.platform.urls.keyPlane });
  const keys = async () => (await world.database.query<{ key_id: string }>(`SELECT key_id FROM keyward.cmk WHERE tenant_id = 'acme'`)).rows;
  const missing = size - (await keys()).length;
  for (let at = 0; at < missing; at += AT_ONCE)
    await Promise.all(Array.from({ length: Math.min(AT_ONCE, missing - at) }, () => admin.createKey('acme', {})));
  return targetsOf(
    world,
    ['acme'],
    (await keys()).map(({ key_id }) => key_id),
  );
}

/** A log of so many records: copies of a real one, appended as the data plane appends them. */
export async function filledLog(world: World, size: number): Promise<readonly Target[]> {
  const targets = targetsOf(world, ['acme']);
  const { platform, database } = world;
  const { rows } = await database.query<{ size: string; epoch: string; platform: string }>(
    `SELECT h.size, h.epoch, p.epoch AS platform FROM keyward.tenant_head h, keyward.tenant_head p
      WHERE h.tenant_id = 'acme' AND p.tenant_id = 'platform'`,
  );
  const head = rows[0]!;
  const password = passwords.parse(JSON.parse(readFileSync(platform.dataDir.file('role-passwords.json'), 'utf8'))).keyward_data_plane;
  // One call at least, whose record is copied.
  await latenciesOf(world, targets, 1, 0.1);
  const appender = new Appender({ url: platform.postgres.urlFor('keyward_data_plane', password, 'keyward'), applicationName: 'bench' });
  const body = await aRecord(world);
  const entry = () => ({
    tenant: tenantId.parse('acme'),
    epochs: { tenant: head.epoch, platform: head.platform },
    validUntil: undefined,
    body: { ...body, id: newRecordId(Date.now()), time: new Date().toISOString() },
  });
  try {
    await connected(appender);
    for (let at = Number(head.size); at < size; at += RECORDS_AT_ONCE) {
      const appended = await appender.appendAll(Array.from({ length: Math.min(RECORDS_AT_ONCE, size - at) }, entry));
      if (appended.some(({ verdict }) => verdict !== 'durable')) throw new Error('A record of the bench was refused.');
    }
  } finally {
    await appender.close();
  }
  await signedAndCounted(world);
  return targets;
}

/** Records never come at once as they do here: what the worker still has to do with them is not what a long log costs. */
async function signedAndCounted({ database }: World): Promise<void> {
  for (;;) {
    const { rows } = await database.query(
      `SELECT FROM keyward.tenant_head h JOIN keyward.trail_checkpoint c USING (tenant_id) JOIN keyward.trail_stat_head s USING (tenant_id)
          JOIN keyward.trail_context_head x USING (tenant_id)
        WHERE h.tenant_id = 'acme' AND least(c.size, s.covered_size, x.covered_size) >= h.size`,
    );
    if (rows.length > 0) return;
    await sleep(250);
  }
}

async function connected(appender: Appender): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      return appender.mustBeConnected();
    } catch (error) {
      if (attempt === 600) throw error;
      await sleep(50);
    }
  }
}

const passwords = z.object({ keyward_data_plane: z.string() });

/** Of a call, without what the database adds. */
async function aRecord({ database }: World): Promise<RecordBody> {
  const { rows } = await database.query<{ body: RecordBody & { seq: number; recordedAt: string; writer: string } }>(
    `SELECT convert_from(bytes, 'UTF8')::json AS body FROM keyward.trail_record
      WHERE tenant_id = 'acme' AND op = 'GenerateDataKey' AND outcome = 'succeeded' ORDER BY seq DESC LIMIT 1`,
  );
  const { seq: _seq, recordedAt: _at, writer: _writer, ...body } = rows[0]!.body;
  return body;
}
