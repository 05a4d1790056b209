import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Platform, startPlatform } from '#runtime';
import { parseCheckpoint } from '#trail';
import { must } from '../stories/api.js';
import { asSuperuser } from '../stories/signed.js';

/** The custodian's own file outlives what is done to the database: a plain copy of an older one is not signed on. */
describe('a database that went back', () => {
  const dataDir = mkdtempSync(join(tmpdir(), 'kw-older-'));
  const folder = join(dataDir, 'postgres');
  let platform: Platform | undefined;
  afterAll(async () => {
    await platform?.stop();
    rmSync(dataDir, { recursive: true, force: true });
  }, 60_000);

  const start = async () => (platform = await startPlatform({ dataDir, ports: 'free' }));
  const stop = async () => {
    await platform?.stop();
    platform = undefined;
  };
  const checkpoint = () =>
    asSuperuser(platform!.superuserUrl, async (client) => {
      const { rows } = await client.query<{ note: string; size: string }>(
        `SELECT c.note, h.size FROM keyward.trail_checkpoint c JOIN keyward.tenant_head h USING (tenant_id) WHERE tenant_id = 'platform'`,
      );
      return { signed: Number(parseCheckpoint(rows[0]!.note).size), size: Number(rows[0]!.size) };
    });
  const signedWhole = async () => {
    for (let now = await checkpoint(); ; now = await checkpoint()) {
      if (now.signed === now.size) return now.size;
      await sleep(100);
    }
  };
  const register = async (...names: readonly string[]) => {
    const { operator } = JSON.parse(readFileSync(platform!.credentialsFile, 'utf8')) as { operator: { apiKey: string } };
    for (const service of names) await must(platform!.urls.keyPlane, operator.apiKey, 'POST', '/v1/services', { service });
  };
  /** Mode, owner and times, too: PostgreSQL looks at them. */
  const copy = (from: string, to: string) => expect(spawnSync('cp', ['-a', from, to]).status).toBe(0);

  it('is refused by the signer when it is smaller, and when it has grown into something else', async () => {
    await start();
    await signedWhole();
    await stop();
    copy(folder, `${folder}-older`);

    await start();
    await register('one', 'two', 'three', 'four');
    const genuine = await signedWhole();
    await stop();

    renameSync(folder, `${folder}-newer`);
    renameSync(`${folder}-older`, folder);
    await start();
    await register('five');
    await sleep(3000);
    const smaller = await checkpoint();
    expect(smaller.size).toBeLessThan(genuine);
    expect(smaller.signed).toBeLessThan(smaller.size);

    await register('six', 'seven', 'eight', 'nine', 'ten');
    await sleep(3000);
    const larger = await checkpoint();
    expect(larger.size).toBeGreaterThan(genuine);
    expect(larger.signed).toBe(smaller.signed);
    await stop();

    rmSync(folder, { recursive: true });
    renameSync(`${folder}-newer`, folder);
    await start();
    await register('eleven');
    expect(await signedWhole()).toBeGreaterThan(genuine);
  }, 300_000);
});
