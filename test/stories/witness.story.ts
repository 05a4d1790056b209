import { readFileSync } from 'node:fs';
import { parseCheckpoint } from '#trail';
import { ForeignVerifier } from '../foreign-verifier/foreign-verifier.js';
import { must } from './api.js';
import { CommandLine } from './command-line.js';
import { type Onboarded, onboarded } from './onboarded.js';
import { signedSize, tamper } from './signed.js';
import { WitnessProcess } from './witness-process.js';

describe("a tenant's own witness", () => {
  let world: Onboarded;
  let cli: CommandLine;
  let witness: WitnessProcess;
  let key: string;

  beforeAll(async () => {
    world = await onboarded();
    cli = new CommandLine(world, world.acme);
    const made = await cli.json('witness', 'init', cli.file('witness'), '--name', 'witness.acme.example');
    key = String(made['vkey']);
    witness = await WitnessProcess.start(cli.file('witness'), world.acme.vkey);
    await signedSize(world, 'acme', 4);
  }, 180_000);
  afterAll(async () => {
    await witness?.end('SIGKILL');
    cli?.remove();
    await world?.stop();
  }, 60_000);

  const feed = (...more: readonly string[]) => cli.run('witness', 'feed', '--witness', witness.url, '--witness-key', key, ...more);

  it('cosigns what the auditor plane shows, again and again', async () => {
    expect(await feed('--out', cli.file('kept'))).toMatchObject({ exit: 0, out: expect.stringContaining('\n— witness.acme.example ') });
    const kept = readFileSync(cli.file('kept'), 'utf8');
    expect(await cli.json('checkpoint', '--witness', witness.url)).toEqual({ checkpoint: kept });
    const { size } = parseCheckpoint(kept);
    const call = { keyId: 'alias/invoices', encryptionContext: { purpose: 'invoice' } };
    await must(world.platform.urls.dataPlanes[0]!, world.billing, 'POST', '/v1/tenants/acme/data-keys', call);
    await signedSize(world, 'acme', Number(size) + 1);
    expect(await feed('--mirror', cli.file('mirror'))).toMatchObject({ exit: 0, talk: expect.stringContaining('none changed') });
  });

  it('is asked for by whoever verifies', async () => {
    const url = `${world.platform.urls.auditor}/v1/tenants/acme`;
    const asked = ['verify', url, '--since', cli.file('kept'), '--witness-key', key];
    expect(await cli.json(...asked)).toMatchObject({
      status: 'verified',
      witnessed: { size: expect.any(Number), by: [{ witness: 'witness.acme.example', time: expect.any(Number) }] },
    });
    expect((await cli.run(...asked)).out).toMatch(/The first \d+ records were seen by witness\.acme\.example at 20/);
    expect(await cli.run('verify', url, '--witness-key', key)).toMatchObject({
      exit: 6,
      out: expect.stringContaining('too-few-witnesses'),
    });
    expect(await cli.run('verify', url, '--witness-key', key, '--quorum', '2')).toMatchObject({ exit: 2 });
    expect(await cli.run('verify', url, '--witness-key', world.acme.vkey)).toMatchObject({ exit: 2 });
  });

  it("leaves a mirror and a cosigned checkpoint that Go's note and tlog read as well", async () => {
    const foreign = await ForeignVerifier.compiled();
    try {
      expect(foreign.verifyFolder(world.acme.vkey, cli.file('mirror'), cli.file('kept'))).toMatchObject({ exit: 0 });
      // A witness's key is of a type that it does not know.
      expect(foreign.verifyFolder(key, cli.file('mirror'))).toMatchObject({ exit: 6 });
    } finally {
      foreign.remove();
    }
  }, 300_000);

  it('does not cosign the log of another tenant, and starts on its folder only once', async () => {
    const globex = new CommandLine(world, world.globex);
    try {
      expect(await globex.run('checkpoint', '--witness', witness.url)).toMatchObject({ exit: 4 });
      expect(await globex.run('witness', 'feed', '--witness', witness.url, '--witness-key', key)).toMatchObject({ exit: 4 });
    } finally {
      globex.remove();
    }
    expect(await cli.run('witness', 'run', cli.file('witness'), '--log', world.acme.vkey)).toMatchObject({
      exit: 2,
      talk: expect.stringContaining('Another witness runs'),
    });
    expect(await cli.run('witness', 'run', cli.file('witness'), '--log', world.acme.vkey, '--host', '0.0.0.0')).toMatchObject({ exit: 2 });
    expect(await cli.run('witness', 'feed', '--witness', 'http://127.0.0.1:1', '--witness-key', key)).toMatchObject({ exit: 5 });
  });

  it('sees that the log was cut back, and says so', async () => {
    await feed();
    await tamper(
      world,
      `UPDATE keyward.trail_checkpoint t SET (size, note) = (SELECT c.size, c.note FROM keyward.signed_checkpoint c WHERE c.tenant_id = 'acme' ORDER BY c.size LIMIT 1) WHERE tenant_id = 'acme'`,
      // Else the platform signs a newer one at once.
      `CREATE FUNCTION keyward.stay() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'`,
      'CREATE TRIGGER stay BEFORE UPDATE ON keyward.trail_checkpoint FOR EACH ROW EXECUTE FUNCTION keyward.stay()',
    );
    const { exit, talk } = await feed();
    expect({ exit, talk }).toMatchObject({ exit: 6, talk: expect.stringMatching(/saw this log with \d+ records; now it has \d+/) });
  });

  it('ends on SIGTERM and begins again where it was', async () => {
    expect(await witness.end()).toBe(0);
    witness = await WitnessProcess.start(cli.file('witness'), world.acme.vkey);
    expect((await feed()).exit).toBe(6);
  });
});
