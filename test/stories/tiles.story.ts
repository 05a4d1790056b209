import { spawnSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { decodeEntries, leafHash, parseCheckpoint, parseVkey, tilePath, treeRoot, verifyNote } from '#trail';
import { ForeignVerifier } from '../foreign-verifier/foreign-verifier.js';
import { api, must } from './api.js';
import { CommandLine } from './command-line.js';
import { type Onboarded, onboarded } from './onboarded.js';
import { asSuperuser, signedSize, tamper } from './signed.js';

const RECORDS = 520;

describe("a tenant's log, tile by tile", () => {
  let world: Onboarded;
  let cli: CommandLine;
  let size: number;

  beforeAll(async () => {
    world = await onboarded();
    cli = new CommandLine(world, world.acme);
    const { dataPlanes } = world.platform.urls;
    const body = { keyId: 'alias/invoices', encryptionContext: { purpose: 'invoice' } };
    for (let made = 0; made < RECORDS; made += 20)
      await Promise.all(Array.from({ length: 20 }, () => must(dataPlanes[0]!, world.billing, 'POST', '/v1/tenants/acme/data-keys', body)));
    size = await signedSize(world, 'acme', RECORDS);
  }, 180_000);
  afterAll(async () => {
    cli?.remove();
    await world?.stop();
  }, 60_000);

  const get = (path: string, apiKey: string = world.acme.auditor, tenant = 'acme') =>
    fetch(new URL(`/v1/tenants/${tenant}/${path}`, world.platform.urls.auditor), { headers: { authorization: `Bearer ${apiKey}` } });
  const bytes = async (path: string) => new Uint8Array(await (await get(path)).arrayBuffer());
  const hashesIn = (tile: Uint8Array) => Array.from({ length: tile.length / 32 }, (_, i) => tile.slice(32 * i, 32 * i + 32));
  const address = () => `${world.platform.urls.auditor}/v1/tenants/acme`;

  it('is what C2SP tlog-tiles says: checkpoint, entries, hashes of every level', async () => {
    const checkpoint = await get('checkpoint');
    expect(checkpoint.headers.get('content-type')).toBe('text/plain; charset=utf-8');
    const head = parseCheckpoint(await checkpoint.text());
    expect(await verifyNote(head.note, [parseVkey(world.acme.vkey)])).toHaveLength(1);

    const entries = decodeEntries(await bytes('tile/entries/000'));
    const hashes = hashesIn(await bytes('tile/0/000'));
    expect(entries.map((entry) => Buffer.from(leafHash(entry)).toString('hex'))).toEqual(
      hashes.map((hash) => Buffer.from(hash).toString('hex')),
    );
    expect(hashesIn(await bytes('tile/1/000.p/2')).map((hash) => Buffer.from(hash))).toEqual(
      await Promise.all(['000', '001'].map(async (name) => Buffer.from(treeRoot(hashesIn(await bytes(`tile/0/${name}`)))))),
    );
    const tile = await get('tile/0/002.p/3');
    expect([tile.headers.get('content-type'), (await tile.arrayBuffer()).byteLength]).toEqual(['application/octet-stream', 96]);
  });

  it('ends where the newest checkpoint ends', async () => {
    const covered = parseCheckpoint(await (await get('checkpoint')).text()).size;
    const place = Number(covered) % 256;
    const at = (width: number) => get(`tile/0/00${Math.floor(Number(covered) / 256)}.p/${width}`);
    expect((await at(place)).status).toBe(200);
    for (const path of ['tile/0/900', 'tile/entries/x900/000.p/1', 'tile/1/000', 'tile/6/000.p/1'])
      expect([path, (await get(path)).status]).toEqual([path, 404]);
  });

  it.each([
    'tile/7/000',
    'tile/0/1',
    'tile/0/000.p/0',
    'tile/0/000.p/256',
    'tile/0/x000/001',
    'tile/0/000/',
    'tile/0/..%2f000',
    'tile/data/000',
  ])('has nothing at %s', async (path) => {
    expect((await get(path)).status).toBe(400);
  });

  it('is for its own auditors', async () => {
    for (const path of ['checkpoint', 'checkpoints', 'log', 'tile/0/000', 'tile/entries/000']) {
      expect([path, (await get(path, world.globex.auditor)).status]).toEqual([path, 404]);
      expect([path, (await get(path, world.acme.admin)).status]).toEqual([path, 403]);
    }
  });

  it('has a list of every checkpoint that was signed, the largest first, in pages', async () => {
    const page = async (query: string) =>
      (await must(world.platform.urls.auditor, world.acme.auditor, 'GET', `/v1/tenants/acme/checkpoints?${query}`)).body as {
        items: { size: number; note: string }[];
        nextBeforeSize?: number;
      };
    const all = await page('limit=1000');
    expect(all.items.length).toBeGreaterThan(1);
    expect(all.items.map((item) => item.size)).toEqual(all.items.map((item) => item.size).sort((a, b) => b - a));
    for (const { note } of all.items) expect(await verifyNote(parseCheckpoint(note).note, [parseVkey(world.acme.vkey)])).toHaveLength(1);
    const first = await page('limit=1');
    expect(first.nextBeforeSize).toBe(first.items[0]!.size);
    expect((await page(`limit=1&beforeSize=${first.nextBeforeSize}`)).items[0]!.size).toBeLessThan(first.items[0]!.size);
  });

  it('tells its name and key', async () => {
    const log = await must(world.platform.urls.auditor, world.acme.auditor, 'GET', '/v1/tenants/acme/log');
    expect(log.body).toMatchObject({ vkeys: [world.acme.vkey], origin: world.acme.vkey.split('+')[0] });
    expect(log.seq).toBeUndefined();
  });

  it('is verified from its address, with the pinned key', async () => {
    expect(await cli.run('verify', address())).toMatchObject({
      exit: 0,
      out: expect.stringContaining('the key that you pinned') as string,
    });
    expect(await cli.run('verify', address(), '--vkey', world.globex.vkey)).toMatchObject({ exit: 6 });
    expect(await cli.run('verify', `${address()}/checkpoint`)).toMatchObject({ exit: 2 });
    expect(await cli.run('verify', `${world.platform.urls.auditor}/v1/tenants/globex`)).toMatchObject({ exit: 4 });
  });

  it('stands before a program that we did not write, from its address and from a bundle', async () => {
    const foreign = await ForeignVerifier.compiled();
    try {
      const head = await (await get('checkpoint')).text();
      const covered = Number(parseCheckpoint(head).size);
      const files = new Map<string, Uint8Array>([['checkpoint', Buffer.from(head)]]);
      for (let index = 0; index * 256 < covered; index++) {
        const path = tilePath('entries', index, Math.min(256, covered - 256 * index));
        files.set(path, await bytes(path));
      }
      expect(foreign.verify(world.acme.vkey, files, head)).toEqual({ exit: 0, said: `OK: ${covered} records` });
      expect(foreign.verify(world.globex.vkey, files)).toMatchObject({ exit: 6 });
      const [bundle, folder] = [cli.file('genuine.tar'), cli.file('genuine')];
      await cli.run('bundle', 'download', bundle);
      mkdirSync(folder);
      expect(spawnSync('tar', ['-xf', bundle, '-C', folder]).status).toBe(0);
      expect(foreign.verifyFolder(world.acme.vkey, folder)).toMatchObject({ exit: 0 });
    } finally {
      foreign.remove();
    }
  }, 300_000);

  it('is read without growing: reads are counted, and recorded once their minute is over', async () => {
    const newest = () => signedSize(world, 'acme', size);
    const before = await newest();
    await cli.run('verify', address());
    expect(await newest()).toBeLessThanOrEqual(before + 8);
    const counts = await asSuperuser(world.platform.superuserUrl, async (client) => {
      const { rows } = await client.query<{ op: string; count: string }>(
        `SELECT op, sum(count)::text AS count FROM (
           SELECT op, count FROM keyward.read_count WHERE tenant_id = 'acme' UNION ALL
           SELECT op, (convert_from(bytes, 'UTF8')::json ->> 'count')::int FROM keyward.trail_record WHERE tenant_id = 'acme' AND op = 'GetTile') r GROUP BY op`,
      );
      return new Map(rows.map((row) => [row.op, Number(row.count)]));
    });
    expect(counts.get('GetTile')).toBeGreaterThanOrEqual(12);
  });

  it('names the first bad record from its address, and where hashes were recomputed too the two checkpoints around it', async () => {
    const flip = `UPDATE keyward.trail_record SET bytes = convert_to(replace(convert_from(bytes, 'UTF8'), '"billing"', '"filling"'), 'UTF8') WHERE tenant_id = 'acme' AND seq = 300`;
    await tamper(world, flip);
    expect(await cli.json('verify', address())).toMatchObject({ status: 'failed', code: 'record-changed', index: 300 });
    await tamper(
      world,
      `UPDATE keyward.trail_record SET leaf_hash = sha256('\\x00'::bytea || bytes) WHERE tenant_id = 'acme' AND seq = 300`,
    );
    const report = (await cli.json('verify', address())) as { code: string; between: { from: number; to: number } };
    expect(report.code).toBe('root-mismatch');
    expect(report.between.from).toBeLessThanOrEqual(300);
    expect(report.between.to).toBeGreaterThan(300);
    const file = cli.file('forged.tar');
    await cli.run('bundle', 'download', file);
    expect(await cli.json('verify', file)).toMatchObject({ code: 'root-mismatch', between: report.between });
    await tamper(world, `DELETE FROM keyward.trail_record WHERE tenant_id = 'acme' AND seq = 301`);
    expect(await cli.json('verify', address())).toMatchObject({ code: 'missing-tile' });
    expect((await api(world.platform.urls.auditor, world.acme.auditor, 'GET', '/v1/tenants/acme/tile/entries/001')).status).toBe(404);
  });
});
