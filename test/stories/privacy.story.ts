import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { ForeignVerifier } from '../foreign-verifier/foreign-verifier.js';
import { must } from './api.js';
import { CommandLine } from './command-line.js';
import { type Onboarded, onboarded } from './onboarded.js';
import { asSuperuser, signedSize } from './signed.js';

interface Records {
  readonly items: { readonly seq: number; readonly op: string; readonly actor: { principal: string }; readonly _sd?: readonly string[] }[];
  readonly disclosures: { readonly digest: string; readonly name: string; readonly value: string }[];
}

describe('what a log knows of persons', () => {
  let world: Onboarded;
  let otto: CommandLine;
  let anna: CommandLine;
  let foreign: ForeignVerifier;
  beforeAll(async () => {
    world = await onboarded();
    otto = new CommandLine(world, world.acme);
    anna = new CommandLine(world, world.acme, 'admin');
    foreign = await ForeignVerifier.compiled();
  }, 180_000);
  afterAll(async () => {
    for (const one of [otto, anna, foreign]) one?.remove();
    await world?.stop();
  }, 60_000);

  const generate = () =>
    must(world.platform.urls.dataPlanes[0]!, world.billing, 'POST', '/v1/tenants/acme/data-keys', {
      ...{ keyId: 'alias/invoices', encryptionContext: { purpose: 'invoice' } },
    });
  const records = async (...filters: string[]) => (await otto.json('records', 'list', ...filters)) as unknown as Records;
  const shown = async (...filters: string[]) => (await records(...filters)).disclosures.map(({ name, value }) => `${name}=${value}`);
  /** The bundle as it is now, verified by ours and by the foreign verifier, and again later by `again`. */
  const verified = async (name: string, size: number) => {
    await signedSize(world, 'acme', size);
    const [tar, folder] = [otto.file(`${name}.tar`), otto.file(name)];
    await otto.run('bundle', 'download', tar);
    mkdirSync(folder);
    execFileSync('tar', ['-xf', tar, '-C', folder]);
    const verify = async (...options: string[]) => {
      expect(foreign.verifyFolder(world.acme.vkey, folder)).toMatchObject({ exit: 0 });
      return await otto.json('verify', tar, ...options);
    };
    return { verify, folder, report: await verify() };
  };

  it('can be erased by their admin, and every proof still holds', async () => {
    const [first, second] = [await generate(), await generate()];
    await must(world.platform.urls.keyPlane, world.acme.admin, 'POST', '/v1/tenants/acme/stops', {
      ...{ target: { scope: 'service', service: 'reports' }, reason: 'Anna says so' },
    });
    const all = await shown();
    expect(all).toEqual(
      expect.arrayContaining([
        'userName=acme-admin',
        'person=acme-admin',
        'person=acme-auditor',
        'sourceIp=127.0.0.1',
        'reason=Anna says so',
      ]),
    );
    const before = await records();
    expect(JSON.stringify(before.items)).not.toMatch(/acme-admin|acme-auditor|127\.0\.0\.1|Anna/);
    // A service's address is one disclosure for many records.
    const [one, other] = [first, second].map(({ seq }) => before.items.find((item) => item.seq === seq)?._sd);
    expect([one, one?.length]).toEqual([other, 1]);
    // The auditor finds a person by the name, and sees it in a table.
    expect((await records('--principal', 'acme-admin', '--op', 'CreateKey')).items).toHaveLength(1);
    expect((await otto.run('records', 'list', '--op', 'Stop')).out).toContain('admin acme-admin');

    const { report, verify, folder } = await verified('before', before.items.length);
    expect(report).toMatchObject({ status: 'verified', pinned: true });
    expect(readFileSync(`${folder}/disclosures/000.jsonl`, 'utf8').trimEnd().split('\n')).toHaveLength(Number(report['disclosed']));

    const said = await anna.run('privacy', 'erase', '--principal', 'acme-admin');
    expect(said).toMatchObject({ exit: 0, out: expect.stringMatching(/^erased \d+ values/) as string });
    const named = await anna.json('privacy', 'erase', '--principal', 'billing', '--fields', 'sourceIp');
    expect(named).toMatchObject({ fromSeq: 0, fields: ['sourceIp'], erased: 1 });
    const third = await generate();
    const after = await records();
    expect(after.items.slice(0, before.items.length)).toEqual(before.items);
    const [erasure, last] = ['ErasePersonalFields', 'GenerateDataKey'].map((op) => after.items.findLast((item) => item.op === op));
    expect(erasure).toMatchObject({ change: { fromSeq: 0, fields: 'sourceIp', erased: 1 } });
    // The epoch moved: no later record carries a salt that was erased.
    expect([last?.seq, last?._sd?.includes(one![0]!)]).toEqual([third.seq, false]);
    const left = await shown('--as-of', String(before.items.length));
    expect(left).toEqual(['person=acme-auditor']);
    const stored = await asSuperuser(world.platform.superuserUrl, async (client) => {
      const { rows } = await client.query<{ disclosure: string }>(
        `SELECT disclosure FROM keyward.trail_disclosure WHERE tenant_id = 'acme' AND seq < $1`,
        [before.items.length],
      );
      return rows.map(({ disclosure }) => Buffer.from(disclosure, 'base64url').toString()).join();
    });
    expect(stored).not.toMatch(/acme-admin|127\.0\.0\.1|Anna/);

    await anna.run('key', 'list');
    const later = await verified('after', after.items.length);
    expect(later.report).toMatchObject({ status: 'verified', pinned: true });
    expect(Number(later.report['disclosed'])).toBeLessThan(Number(report['disclosed']));
    expect(await later.verify('--since', `${folder}/checkpoint`)).toMatchObject({ status: 'verified' });
    expect(await verify()).toEqual(report);
    expect(await otto.json('records', 'proof', String(first.seq))).toMatchObject({ proof: expect.any(String) as string });
  });

  it('are erased in a range of records, and only fields that were named', async () => {
    const { seq = 0 } = await must(world.platform.urls.keyPlane, world.acme.admin, 'GET', '/v1/tenants/acme/keys');
    const range = ['--from-seq', String(seq), '--to-seq', String(seq + 1)];
    const list = () => shown('--from-seq', String(seq), '--limit', '1');
    expect((await list()).map((field) => field.split('=')[0])).toEqual(expect.arrayContaining(['sourceIp', 'userAgent', 'userName']));
    expect(await anna.json('privacy', 'erase', ...range, '--fields', 'userAgent,userName')).toMatchObject({ erased: 2 });
    expect((await list()).map((field) => field.split('=')[0])).toEqual(['sourceIp']);
    expect(await anna.json('privacy', 'erase', ...range, '--fields', 'userAgent,userName')).toMatchObject({ erased: 0 });
  });

  it('of a service that goes on calling are erased up to that record, and no later one carries what was', async () => {
    let running = true;
    const calling = async () => {
      while (running) await generate().catch(() => undefined);
    };
    const traffic = [1, 2, 3, 4].map(calling);
    await sleep(300);
    const { erased } = await anna.json('privacy', 'erase', '--principal', 'billing', '--fields', 'sourceIp');
    expect(Number(erased)).toBeGreaterThan(0);
    await sleep(300);
    running = false;
    await Promise.all(traffic);
    const { items, disclosures } = await records('--limit', '1000');
    const alive = new Set(disclosures.map(({ digest }) => digest));
    const erasedAt = items.findLast(({ op }) => op === 'ErasePersonalFields')!.seq;
    const uses = items.filter(({ op }) => op === 'GenerateDataKey');
    const [before, after] = [uses.filter(({ seq }) => seq < erasedAt), uses.filter(({ seq }) => seq > erasedAt)];
    expect([before.length, after.length].every((count) => count > 0)).toBe(true);
    const shown = (all: typeof uses) => all.flatMap(({ _sd = [] }) => _sd.map((digest) => alive.has(digest)));
    expect([new Set(shown(before)), new Set(shown(after))]).toEqual([new Set([false]), new Set([true])]);
  });

  it('are not erased all at once by an oversight, nor by an auditor', async () => {
    expect(await anna.run('privacy', 'erase')).toMatchObject({ exit: 2, talk: expect.stringContaining('principal') as string });
    expect(await anna.run('privacy', 'erase', '--principal', 'x', '--fields', 'salary')).toMatchObject({ exit: 2 });
    expect((await otto.run('privacy', 'erase', '--principal', 'acme-auditor')).exit).toBe(3);
  });
});
