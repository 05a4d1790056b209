import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { KeywardAdmin } from '#sdk';
import { parseNote } from '#trail';
import { ForeignVerifier } from '../foreign-verifier/foreign-verifier.js';
import { CommandLine } from './command-line.js';
import { type Onboarded, onboarded } from './onboarded.js';
import { asSuperuser, signedSize } from './signed.js';

const PATIENCE_MS = 40_000;

/** On P-256 too: the same platform with an HSM that is told to make no Ed25519 keys. */
describe.each([
  ['Ed25519', {}],
  ['ECDSA_P256', { KEYWARD_HSM_LOG_KEYS: 'ECDSA_P256' }],
])('a log whose keys (%s) are rotated', (algorithm, env) => {
  let world: Onboarded;
  let cli: CommandLine;
  let admin: KeywardAdmin;
  let foreign: ForeignVerifier;
  let next = '';

  beforeAll(async () => {
    world = await onboarded({ env });
    cli = new CommandLine(world, world.acme);
    admin = new KeywardAdmin({ keyPlane: world.platform.urls.keyPlane, apiKey: world.acme.admin });
    foreign = await ForeignVerifier.compiled();
  }, 300_000);
  afterAll(async () => {
    foreign?.remove();
    cli?.remove();
    await world?.stop();
  }, 60_000);

  const url = () => `${world.platform.urls.auditor}/v1/tenants/acme`;
  const query = (text: string) => asSuperuser(world.platform.superuserUrl, async (client) => (await client.query(text)).rows);
  const signers = async () => parseNote(String((await cli.json('checkpoint'))['checkpoint'])).signatures.length;
  async function byBoth(): Promise<void> {
    for (const verified of [await cli.json('verify', cli.file('acme.tar')), await cli.json('verify', url())])
      expect(verified).toMatchObject({ status: 'verified', pinned: true });
    spawnSync('sh', ['-c', `rm -rf ${cli.file('log')}; mkdir ${cli.file('log')}; tar -xf ${cli.file('acme.tar')} -C ${cli.file('log')}`]);
    expect(foreign.verifyFolder(world.acme.vkey, cli.file('log'), cli.file('kept'))).toMatchObject({ exit: 0 });
  }
  async function downloaded(): Promise<void> {
    spawnSync('rm', ['-f', cli.file('acme.tar')]);
    expect(await cli.run('bundle', 'download', cli.file('acme.tar'))).toMatchObject({ exit: 0 });
  }

  /** Its time is over: it is retired, which is signed, and out of the HSM. */
  async function olderKeyEnded(tenant: string): Promise<void> {
    await query(`UPDATE keyward.log_key SET retires_at = now() WHERE tenant_id = '${tenant}'`);
    for (const deadline = performance.now() + PATIENCE_MS; ; await sleep(200)) {
      const [row] = await query(`SELECT destroyed_at IS NOT NULL AS destroyed FROM keyward.log_key WHERE tenant_id = '${tenant}'`);
      if (row.destroyed) break;
      if (performance.now() > deadline) throw new Error('The key did not leave the HSM.');
    }
    const [retired] = await query(`SELECT seq FROM keyward.trail_record WHERE tenant_id = '${tenant}' AND op = 'RetireLogKey'`);
    await signedSize(world, tenant, Number(retired.seq) + 1);
  }
  /** A proof takes any of the keys that were pinned, and no other. */
  async function provenByOneOf(): Promise<void> {
    const { items } = await new KeywardAdmin({ auditor: world.platform.urls.auditor, apiKey: world.acme.auditor }).listRecords('acme', {
      limit: 1,
    });
    writeFileSync(cli.file('record'), JSON.stringify(items[0]));
    writeFileSync(cli.file('proof'), String((await cli.json('records', 'proof', '0'))['proof']));
    const verify = (...keys: string[]) =>
      cli.run('records', 'verify', cli.file('proof'), cli.file('record'), ...keys.flatMap((key) => ['--vkey', key]));
    expect(await verify(world.acme.vkey, next)).toMatchObject({ exit: 0 });
    expect(await verify(world.acme.vkey)).toMatchObject({ exit: 6 });
  }

  it('signs with both of them, and the older one vouches for the newer one', async () => {
    writeFileSync(cli.file('kept'), String((await cli.json('checkpoint'))['checkpoint']));
    expect(await signers()).toBe(1);
    const made = await admin.rotateLogKey('acme', { overlapDays: 1 });
    next = made.vkey;
    expect(made).toMatchObject({ number: 2, replaces: world.acme.vkey });
    expect(Buffer.from(next.split('+').slice(2).join('+'), 'base64')[0]).toBe(algorithm === 'Ed25519' ? 1 : 2);
    await signedSize(world, 'acme', Number(made.record) + 1);
    expect(await signers()).toBe(2);
    await downloaded();
    await byBoth();
    expect(await cli.json('verify', url(), '--vkey', next)).not.toHaveProperty('followedTo');
    expect((await cli.json('log', 'show'))['vkeys']).toEqual([next, world.acme.vkey]);
  });

  it('is not rotated again while both sign, and not by an auditor', async () => {
    await expect(admin.rotateLogKey('acme')).rejects.toMatchObject({ code: 'already-exists' });
    const auditor = new KeywardAdmin({ keyPlane: world.platform.urls.keyPlane, apiKey: world.acme.auditor });
    await expect(auditor.rotateLogKey('acme')).rejects.toMatchObject({ code: 'not-allowed' });
  });

  it('retires the older key and takes it out of the HSM, with a record, and is followed from it', async () => {
    await olderKeyEnded('acme');
    expect(await signers()).toBe(1);
    await downloaded();
    await byBoth();
    expect(await cli.json('verify', url(), '--since', cli.file('kept'))).toMatchObject({ followedTo: next });
    expect((await cli.run('verify', cli.file('acme.tar'))).out).toContain(next);
    // Who pinned the newer key is led back to the older one, for what was kept; never for the newest checkpoint.
    expect(await cli.json('verify', cli.file('acme.tar'), '--vkey', next, '--since', cli.file('kept'))).toMatchObject({
      status: 'verified',
    });
    expect(foreign.verifyFolder(next, cli.file('log'), cli.file('kept'))).toMatchObject({ exit: 0 });
    spawnSync('mv', [cli.file('log/keys.jsonl'), cli.file('withheld')]);
    expect(foreign.verifyFolder(next, cli.file('log'), cli.file('kept'))).toMatchObject({ exit: 6 });
    await provenByOneOf();
  });

  it('is rotated a third time, and followed from the first key still', async () => {
    const made = await admin.rotateLogKey('acme', {});
    expect(made).toMatchObject({ number: 3, replaces: next });
    await signedSize(world, 'acme', Number(made.record) + 1);
    await downloaded();
    await byBoth();
    expect(await cli.json('verify', cli.file('acme.tar'))).toMatchObject({ followedTo: next });
  });

  it("is the platform's own, whose key its operator rotates, and no tenant's", async () => {
    const { platform, operator } = world;
    const { vkey } = JSON.parse(readFileSync(platform.credentialsFile, 'utf8')) as { vkey: string };
    const own = new CommandLine(world, { ...world.acme, name: 'platform', vkey, auditor: operator });
    const keyward = (...argv: string[]) => own.json(...argv, '--tenant', 'platform');
    const made = await keyward('log', 'rotate-key', '--overlap-days', '1');
    expect(made).toMatchObject({ number: 2, replaces: vkey });
    await signedSize(world, 'platform', Number((await keyward('records', 'list', '--op', 'RotateLogKey'))['size']));
    await olderKeyEnded('platform');
    const verified = await keyward('verify', `${platform.urls.auditor}/v1/tenants/platform`);
    expect(verified).toMatchObject({ status: 'verified', pinned: true, followedTo: made['vkey'] });

    for (const argv of [
      ['log', 'rotate-key'],
      ['log', 'show'],
      ['records', 'list'],
    ])
      expect((await own.run(...argv, '--tenant', 'acme')).exit).toBe(4);
    own.remove();
  });
});
