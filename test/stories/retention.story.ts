import { spawnSync } from 'node:child_process';
import { rmSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { KeywardAdmin } from '#sdk';
import { ForeignVerifier } from '../foreign-verifier/foreign-verifier.js';
import { must } from './api.js';
import { CommandLine } from './command-line.js';
import { type Onboarded, onboarded } from './onboarded.js';
import { asSuperuser, signedSize, tamper } from './signed.js';

const PATIENCE_MS = 90_000;
const CALLS = 300;

describe('records that are older than the retention', () => {
  let world: Onboarded;
  let cli: CommandLine;
  let admin: CommandLine;
  let foreign: ForeignVerifier;

  beforeAll(async () => {
    world = await onboarded();
    [cli, admin] = [new CommandLine(world, world.acme), new CommandLine(world, world.acme, 'admin')];
    const call = { keyId: 'alias/invoices', encryptionContext: { purpose: 'invoice' } };
    const generate = () => must(world.platform.urls.dataPlanes[0]!, world.billing, 'POST', '/v1/tenants/acme/data-keys', call);
    for (let sent = 0; sent < CALLS; sent += 50) await Promise.all(Array.from({ length: 50 }, generate));
    await signedSize(world, 'acme', CALLS);
    foreign = await ForeignVerifier.compiled();
  }, 300_000);
  afterAll(async () => {
    foreign?.remove();
    for (const one of [cli, admin]) one?.remove();
    await world?.stop();
  }, 60_000);

  const url = () => `${world.platform.urls.auditor}/v1/tenants/acme`;
  const prune = () => admin.run('log', 'prune', '--min-index', '256', '--exported', cli.file('whole.tar'));
  const tile = (path: string) => fetch(`${url()}/${path}`, { headers: { authorization: `Bearer ${world.acme.auditor}` } });

  it('stay while they are younger', async () => {
    writeFileSync(cli.file('kept'), String((await cli.json('checkpoint'))['checkpoint']));
    expect(await cli.run('bundle', 'download', cli.file('whole.tar'))).toMatchObject({ exit: 0 });
    expect(await admin.run('log', 'retention', '--days', '179')).toMatchObject({ exit: 2 });
    expect(await admin.run('log', 'retention', '--days', '400')).toMatchObject({ exit: 0 });
    expect(await prune()).toMatchObject({ exit: 4, talk: expect.stringContaining('younger than the 400 days') });
    expect(await cli.json('log', 'show')).toMatchObject({ minIndex: 0, retentionDays: 400 });
  });

  it('are pruned when a verified copy is kept, and a record says so', async () => {
    await tamper(
      world,
      `UPDATE keyward.trail_record SET recorded_at = recorded_at - interval '500 days' WHERE tenant_id = 'acme' AND seq < 256`,
    );
    expect(await prune()).toMatchObject({ exit: 0 });
    await asSuperuser(world.platform.superuserUrl, async (client) => {
      for (const deadline = performance.now() + PATIENCE_MS; ; await sleep(200)) {
        const { rows } = await client.query(
          `SELECT min(seq)::int AS first, max(seq)::int AS last FROM keyward.trail_record WHERE tenant_id = 'acme'`,
        );
        if (rows[0].first === 256) return await signedSize(world, 'acme', Number(rows[0].last));
        if (performance.now() > deadline) throw new Error('The records were not pruned.');
      }
    });
    expect(await cli.json('log', 'show')).toMatchObject({ minIndex: 256 });
  }, 120_000);

  it('leave a log that verifies, from a checkpoint over what is gone too, by both verifiers', async () => {
    expect(await cli.run('bundle', 'download', cli.file('rest.tar'))).toMatchObject({ exit: 0 });
    for (const from of [url(), cli.file('rest.tar')])
      expect(await cli.json('verify', from, '--since', cli.file('kept'))).toMatchObject({ status: 'verified', prunedBefore: 256 });
    expect((await cli.run('verify', cli.file('rest.tar'))).out).toContain('Not seen: records 0 to 255. They were pruned');
    expect(await cli.json('verify', cli.file('whole.tar'))).not.toHaveProperty('prunedBefore');
    const folder = cli.file('log');
    spawnSync('sh', ['-c', `mkdir ${folder} && tar -xf ${cli.file('rest.tar')} -C ${folder}`]);
    expect(foreign.verifyFolder(world.acme.vkey, folder, cli.file('kept'))).toMatchObject({ exit: 0 });
    expect(await cli.json('verify', folder, '--since', cli.file('kept'))).toMatchObject({ unseen: [{ from: 0, to: 256 }] });
  });

  it('leave a mirror that is begun only now, by both verifiers', async () => {
    const folder = cli.file('mirror');
    expect(await cli.run('witness', 'feed', '--mirror', folder)).toMatchObject({
      ...{ exit: 0, talk: expect.stringContaining('Not seen: records 0 to 255') as string },
    });
    expect(await cli.json('verify', folder, '--since', cli.file('kept'))).toMatchObject({ unseen: [{ from: 0, to: 256 }] });
    expect(foreign.verifyFolder(world.acme.vkey, folder, cli.file('kept'))).toMatchObject({ exit: 0 });
    rmSync(`${folder}/tile/0/000`);
    expect(await cli.json('verify', folder)).toMatchObject({ status: 'failed', code: 'missing-tile' });
    expect(foreign.verifyFolder(world.acme.vkey, folder)).toMatchObject({ exit: 6 });
  });

  it('are told to be gone wherever somebody asks for them; proofs of them are not', async () => {
    const auditor = new KeywardAdmin({ auditor: world.platform.urls.auditor, apiKey: world.acme.auditor });
    expect((await auditor.listRecords('acme', { limit: 1 })).items).toMatchObject([{ seq: 256 }]);
    await expect(auditor.listRecords('acme', { asOf: 200 })).rejects.toMatchObject({
      fields: [{ field: 'asOf', message: expect.stringContaining('256') }],
    });
    const entries = await tile('tile/entries/000');
    expect([entries.status, await entries.text()]).toEqual([404, expect.stringContaining('Records below 256 were pruned')]);
    expect((await tile('tile/0/000')).status).toBe(200);
    expect(await auditor.recordProof('acme', 5)).toMatch(/^c2sp\.org\/tlog-proof@v1\nindex 5\n/);
  });
});
