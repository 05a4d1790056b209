import { writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { api, must } from './api.js';
import { CommandLine } from './command-line.js';
import { type Onboarded, onboarded } from './onboarded.js';
import { asSuperuser, signedSize, tamper } from './signed.js';

const PATIENCE_MS = 180_000;

describe('a tenant that has left', () => {
  let world: Onboarded;
  let [auditor, admin]: CommandLine[] = [];
  const line = (one: CommandLine | undefined): CommandLine => one!;
  const call = { keyId: 'alias/invoices', encryptionContext: { purpose: 'invoice' } };
  const use = () => api(world.platform.urls.dataPlanes[0]!, world.billing, 'POST', '/v1/tenants/acme/data-keys', call);

  beforeAll(async () => {
    world = await onboarded();
    [auditor, admin] = [new CommandLine(world, world.acme), new CommandLine(world, world.acme, 'admin')];
    expect((await use()).status).toBe(200);
    await signedSize(world, 'acme', 3);
    writeFileSync(line(auditor).file('kept'), String((await line(auditor).json('checkpoint'))['checkpoint']));
  }, 180_000);
  afterAll(async () => {
    for (const one of [auditor, admin]) one?.remove();
    await world?.stop();
  }, 60_000);

  const steps = () =>
    asSuperuser(world.platform.superuserUrl, async (client) => (await client.query('SELECT step FROM keyward.off_boarding')).rows);

  it('left by its admin’s agreement and the operator’s word, after a wait that its own log told of', async () => {
    const { keyPlane } = world.platform.urls;
    expect((await api(keyPlane, world.operator, 'PUT', '/v1/off-boardings/acme', {})).status).toBe(409);
    expect(await line(admin).run('tenant', 'leave', '--confirm', 'globex')).toMatchObject({ exit: 2 });
    expect(await line(admin).run('tenant', 'leave', '--confirm', 'acme')).toMatchObject({ exit: 0 });
    await must(keyPlane, world.operator, 'PUT', '/v1/off-boardings/acme', { days: 7 });
    expect(await line(admin).json('tenant', 'leaving')).toMatchObject({ state: 'Waiting', basis: 'agreement' });
    expect(await line(auditor).json('records', 'list', '--op', 'OffBoardTenant')).toMatchObject({
      items: [{ actor: { type: 'operator' } }],
    });
    expect((await use()).status).toBe(200);
    await tamper(world, `UPDATE keyward.off_boarding SET begun_at = begun_at - interval '8 days', ends_at = ends_at - interval '8 days'`);
    for (const deadline = performance.now() + PATIENCE_MS; ; await sleep(500)) {
      const [row] = await steps();
      if (row.step === 'Ended') break;
      if (performance.now() > deadline) throw new Error(`It is still ${row.step}.`);
    }
  }, 240_000);

  it('is to services one that never was; its admin is nobody, and no key of it is in any row', async () => {
    expect(await use()).toMatchObject({ status: 403, body: { code: 'not-granted' } });
    expect(await line(admin).run('key', 'list')).toMatchObject({ exit: 3 });
    await asSuperuser(world.platform.superuserUrl, async (client) => {
      const { rows } = await client.query(`SELECT FROM keyward.key_version WHERE tenant_id = 'acme' AND length(blob) > 0`);
      expect(rows).toEqual([]);
    });
    const other = await must(world.platform.urls.keyPlane, world.globex.admin, 'GET', '/v1/tenants/globex/keys');
    expect(other.body['items']).toHaveLength(1);
  });

  it('has a log that its auditor reads, and that verifies as one with what was kept before', async () => {
    const found = await line(auditor).json('records', 'list', '--op', 'EndTenant');
    const [last] = found['items'] as { seq: number; change: Record<string, unknown> }[];
    expect(last).toMatchObject({ change: { destroyedKeys: 1 } });
    await signedSize(world, 'acme', last!.seq + 1);
    expect(await line(auditor).run('bundle', 'download', line(auditor).file('acme.tar'))).toMatchObject({ exit: 0 });
    const verified = await line(auditor).json('verify', line(auditor).file('acme.tar'), '--since', line(auditor).file('kept'));
    expect(verified).toEqual(expect.objectContaining({ status: 'verified' }));
    // The last record is its own certificate.
    const [proof, record] = [line(auditor).file('end.tlog-proof'), line(auditor).file('end.json')];
    writeFileSync(proof, String((await line(auditor).json('records', 'proof', String(last!.seq)))['proof']));
    writeFileSync(record, JSON.stringify(last));
    expect(await line(auditor).run('records', 'verify', proof, record)).toMatchObject({ exit: 0 });
    expect(await line(auditor).json('key', 'shredding-receipt', world.acme.keyId)).toMatchObject({ receipt: expect.any(String) });
  });
});
