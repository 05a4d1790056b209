import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Platform, startPlatform } from '#runtime';
import { parseVkey, verifyReceipt } from '#trail';
import { api, must } from '../stories/api.js';
import { type Onboarded, onboarded } from '../stories/onboarded.js';
import { asSuperuser } from '../stories/signed.js';

/** A backup of the database from before a key was destroyed and a root was rotated, beside the token and the custodian's files of today. */
describe('the restore of an older database', () => {
  const dataDir = mkdtempSync(join(tmpdir(), 'kw-restore-'));
  const folder = join(dataDir, 'postgres');
  let platform: Platform | undefined;
  let cast: Onboarded;
  afterAll(async () => {
    await platform?.stop();
    rmSync(dataDir, { recursive: true, force: true });
  }, 60_000);

  const start = async () => (platform = await startPlatform({ dataDir, ports: 'free' }));
  const stop = async () => {
    await platform?.stop();
    platform = undefined;
  };
  const copy = (from: string, to: string) => expect(spawnSync('cp', ['-a', from, to]).status).toBe(0);
  const asAdmin = async (method: string, path: string, body?: object, tenant: 'acme' | 'globex' = 'acme') =>
    (await must(platform!.urls.keyPlane, cast[tenant].admin, method, `/v1/tenants/${tenant}${path}`, body)).body;
  const use = () =>
    api(platform!.urls.dataPlanes[0]!, cast.billing, 'POST', '/v1/tenants/acme/encrypt', {
      ...{ keyId: cast.acme.keyId, plaintext: 'eA==', encryptionContext: { purpose: 'invoice' } },
    });
  const eventually = async <Answer>(ask: () => Promise<Answer>, isSo: (answer: Answer) => boolean): Promise<Answer> => {
    for (let tries = 0; tries < 150; tries++) {
      const answer = await ask();
      if (isSo(answer)) return answer;
      await sleep(300);
    }
    throw new Error('It did not happen in 45 seconds.');
  };
  const allSigned = () =>
    eventually(
      () =>
        asSuperuser(platform!.superuserUrl, async (client) => {
          const { rows } = await client.query<{ behind: string }>(
            `SELECT count(*) AS behind FROM keyward.tenant_head h LEFT JOIN keyward.trail_checkpoint c USING (tenant_id) WHERE h.size > coalesce(c.size, 0)`,
          );
          return rows[0]!.behind;
        }),
      (behind) => behind === '0',
    );

  it('brings no destroyed key back, and stops a tenant whose trail went back until its admin lifts that', async () => {
    cast = await onboarded({ dataDir });
    platform = cast.platform;
    const key = `/keys/${cast.acme.keyId}`;
    expect((await use()).status).toBe(200);
    await stop();
    copy(folder, `${folder}-older`);

    await start();
    await asAdmin('POST', `${key}/schedule-deletion`, { pendingDays: 7 });
    await asSuperuser(platform.superuserUrl, (client) =>
      client.query(`UPDATE keyward.cmk SET deletion_at = now() WHERE key_id = $1`, [cast.acme.keyId]),
    );
    await eventually(
      () => asAdmin('GET', key),
      ({ state }) => state === 'Destroyed',
    );
    const { receipt } = await eventually(
      () => asAdmin('GET', `${key}/shredding-receipt`),
      (answer) => answer['receipt'] !== undefined,
    );
    expect(await verifyReceipt(String(receipt), [parseVkey(cast.acme.vkey)])).toMatchObject({ keyId: cast.acme.keyId, finalAt: undefined });
    expect((await use()).status).toBe(410);
    await asAdmin('POST', '/root/rotate', undefined, 'globex');
    await eventually(
      () => asAdmin('GET', '/root', undefined, 'globex'),
      ({ rotating }) => rotating === false,
    );
    await allSigned();
    await stop();

    renameSync(folder, `${folder}-newer`);
    renameSync(`${folder}-older`, folder);
    await start();
    expect((await use()).body).toMatchObject({ code: 'stopped' });
    const { items } = (await asAdmin('GET', '/stops')) as { items: { stopId: string; stoppedBy: string }[] };
    expect(items).toMatchObject([{ stoppedBy: 'restore', target: { scope: 'everything' } }]);
    await asAdmin('DELETE', `/stops/${items[0]!.stopId}`);
    expect([409, 410]).toContain((await use()).status);
    await eventually(
      () => asAdmin('GET', key),
      ({ state }) => state === 'Destroyed',
    );
    expect((await use()).status).toBe(410);
    const told = readFileSync(join(platform.dataDir.logs, 'key-plane.log'), 'utf8');
    for (const word of ['"what":"destroyed-key"', '"what":"trail"', '"what":"token"']) expect(told).toContain(word);
    await stop();

    // Nothing that is still wanted was lost: the newer copy is as it was.
    rmSync(folder, { recursive: true });
    renameSync(`${folder}-newer`, folder);
    await start();
    expect((await asAdmin('GET', '/stops')) as object).toMatchObject({ items: [] });
    expect(await asAdmin('GET', '/root', undefined, 'globex')).toMatchObject({ root: 1, rotating: false });
    await asAdmin('POST', '/keys', {}, 'globex');
    await allSigned();
  }, 300_000);
});
