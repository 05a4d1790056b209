import { trailRecord } from '#contract';
import { parseCheckpoint, parseVkey, verifyConsistency, verifyNote } from '#trail';
import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { api, must } from './api.js';
import { CommandLine } from './command-line.js';
import { type Onboarded, onboarded } from './onboarded.js';
import { signedSize } from './signed.js';

describe('an auditor', () => {
  let world: Onboarded;
  let cli: CommandLine;
  let startedAt: string;

  beforeAll(async () => {
    world = await onboarded();
    startedAt = new Date(Date.now() - 600_000).toISOString();
    cli = new CommandLine(world, world.acme);
    for (let i = 0; i < 30; i++) {
      const encryptionContext = { purpose: i % 3 === 0 ? 'other' : 'invoice' };
      await api(world.platform.urls.dataPlanes[0]!, world.billing, 'POST', '/v1/tenants/acme/data-keys', {
        keyId: 'alias/invoices',
        encryptionContext,
      });
    }
    await signedSize(world, 'acme', 34);
  }, 180_000);
  afterAll(async () => {
    cli?.remove();
    await world?.stop();
  }, 60_000);

  const audit = async (path: string) =>
    (await must(world.platform.urls.auditor, world.acme.auditor, 'GET', `/v1/tenants/acme/${path}`)).body;

  it('pages through a list that stays as it was, with a cursor that is for this list only', async () => {
    const seen: number[] = [];
    const filters = 'op=GenerateDataKey&outcome=refused&principal=billing';
    let asOf: unknown;
    for (let cursor = ''; ; ) {
      const page = await audit(`records?${filters}&limit=3${cursor}`);
      asOf ??= page['asOf'];
      expect(page['asOf']).toBe(asOf);
      seen.push(...(page['items'] as { seq: number }[]).map(({ seq }) => seq));
      const next = page['nextCursor'];
      if (typeof next !== 'string') break;
      cursor = `&cursor=${next}`;
      const elsewhere = await api(world.platform.urls.auditor, world.acme.auditor, 'GET', `/v1/tenants/acme/records?op=Stop${cursor}`);
      expect([elsewhere.status, elsewhere.body['errors']]).toEqual([400, [expect.objectContaining({ field: 'cursor' })]]);
    }
    expect([seen.length, new Set(seen).size]).toEqual([10, 10]);
    const beyond = await api(world.platform.urls.auditor, world.acme.auditor, 'GET', '/v1/tenants/acme/records?asOf=999999');
    expect(beyond.status).toBe(400);
    expect(await cli.json('records', 'list', '--principal', 'billing', '--from', startedAt, '--limit', '1')).toMatchObject({
      items: [{ op: 'GenerateDataKey' }],
    });
  });

  it('takes a record away with its proof, and verifies it offline', async () => {
    const { items } = (await audit('records?op=GenerateDataKey&limit=1')) as { items: { seq: number }[] };
    const { seq } = trailRecord.parse(items[0]);
    const [proof, record] = [cli.file('proof'), cli.file('record')];
    writeFileSync(proof, String((await cli.json('records', 'proof', String(seq)))['proof']));
    writeFileSync(record, JSON.stringify(items[0], undefined, 2));
    expect(await cli.run('records', 'verify', proof, record)).toMatchObject({
      exit: 0,
      out: expect.stringContaining(`OK: record ${seq}`) as string,
    });
    writeFileSync(record, JSON.stringify(items[0]).replace('billing', 'filling'));
    expect(await cli.run('records', 'verify', proof, record)).toMatchObject({ exit: 6 });
    expect((await cli.run('records', 'proof', '999999')).exit).toBe(4);
  });

  it('exports records for other tools, and goes on where it ended', async () => {
    const whole = await cli.run('records', 'export', '--to-seq', '34');
    const lines = whole.out.trimEnd().split('\n');
    expect([whole.exit, lines.length, whole.talk]).toEqual([0, 34, 'Exported records 0 to 33. To go on: --from-seq 34\n']);
    const { items } = (await audit('records?limit=34')) as { items: unknown[] };
    expect(lines).toEqual(items.map((item) => JSON.stringify(item)));
    const rest = await cli.run('records', 'export', '--to-seq', '34', '--from-seq', '20');
    expect(rest.out.split('\n')).toEqual(whole.out.split('\n').slice(20));
    for (const format of ['cloudevents', 'ocsf', 'cloudtrail', 'actiontrail']) {
      const { out } = await cli.run('records', 'export', '--to-seq', '34', '--format', format);
      const leaves = out.trimEnd().split('\n');
      expect(leaves.map((leaf) => typeof JSON.parse(leaf))).toEqual(lines.map(() => 'object'));
      leaves.forEach((leaf, seq) => expect(leaf).toContain(createHash('sha256').update(`\0${lines[seq]}`).digest('hex')));
    }
    expect(await cli.run('records', 'export', '--to-seq', '999999')).toMatchObject({ exit: 2, out: '' });
  });

  it('gets the proof that the log was only continued, between any two checkpoints that were signed', async () => {
    const { items } = (await audit('checkpoints')) as { items: { size: number; note: string }[] };
    const [newest, ...earlier] = items.map(({ note }) => parseCheckpoint(note));
    await verifyNote(newest!.note, [parseVkey(world.acme.vkey)]);
    for (const older of earlier) {
      const answer = (await audit(`consistency?from=${older.size}&to=${newest!.size}`)) as { proof: string[]; checkpoint: string };
      const proof = answer.proof.map((hash) => Buffer.from(hash, 'base64'));
      const claim = { fromSize: Number(older.size), fromRoot: older.root, toSize: Number(newest!.size), toRoot: newest!.root, proof };
      expect([older.size, verifyConsistency(claim)]).toEqual([older.size, true]);
      expect(parseCheckpoint(answer.checkpoint).size).toBe(newest!.size);
    }
    expect((await api(world.platform.urls.auditor, world.acme.auditor, 'GET', '/v1/tenants/acme/consistency?from=9&to=3')).status).toBe(
      400,
    );
    expect((await cli.run('consistency', '1')).exit).toBe(0);
    expect((await cli.run('consistency', '1', '999999')).exit).toBe(4);
  });

  it('counts, looks at keys and who may use them, and at the policies that were in force', async () => {
    const stats = (await cli.json('stats', '--interval', '1d')) as {
      coveredSize: number;
      items: { operation: string; outcome: string; count: number }[];
    };
    const uses = stats.items.filter(({ operation }) => operation === 'GenerateDataKey').map(({ outcome, count }) => [outcome, count]);
    expect(uses).toEqual([
      ['refused', 10],
      ['succeeded', 20],
    ]);
    expect(await cli.json('key-inventory')).toMatchObject({
      items: [
        {
          keyId: world.acme.keyId,
          state: 'Enabled',
          aliases: ['alias/invoices'],
          versions: [{ primary: true, protectionLevel: 'SOFTWARE_TOKEN' }],
          lastUse: { operation: 'GenerateDataKey', principal: 'billing' },
          usableBy: [{ subject: 'svc:billing', grant: 'billing-invoices' }],
        },
      ],
    });
    const coverage = await cli.json('coverage', '--name', 'purpose');
    expect(coverage).toMatchObject({ name: 'purpose', values: ['invoice'] });
    const covered = coverage['items'] as { value: string | null; keyId: string; operation: string; count: number }[];
    expect(covered).toMatchObject(
      expect.arrayContaining([expect.objectContaining({ value: 'invoice', keyId: world.acme.keyId, service: 'billing', count: 20 })]),
    );
    expect(await cli.json('coverage', '--name', 'purpose', '--values', 'payroll')).toMatchObject({
      items: covered.map(() => ({ value: null })),
    });
    expect(await cli.json('policy-history')).toMatchObject({
      items: [{ version: 1, author: 'acme-admin', document: { grants: [{ id: 'billing-invoices' }] } }],
    });
    const tooLong = '/v1/tenants/acme/stats?interval=1m&from=2026-01-01T00:00:00Z&to=2026-02-01T00:00:00Z';
    expect((await api(world.platform.urls.auditor, world.acme.auditor, 'GET', tooLong)).status).toBe(400);
  });

  it('prints tables, too', async () => {
    for (const command of [['stats'], ['key-inventory'], ['policy-history'], ['records', 'list'], ['checkpoint']])
      expect([command, (await cli.run(...command)).exit]).toEqual([command, 0]);
  });
});
