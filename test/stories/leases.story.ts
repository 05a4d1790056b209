import { setTimeout as sleep } from 'node:timers/promises';
import { Fields, KeywardClient } from '#sdk';
import { must } from './api.js';
import { CommandLine } from './command-line.js';
import { INVOICE_POLICY, type Onboarded, onboarded } from './onboarded.js';

const LEASE = { maxAgeSeconds: 6, maxUses: 3 };

interface Leases {
  readonly items: { readonly seq: number; readonly count: number; readonly until: string; readonly maxUses?: number }[];
}

describe('a lease that the tenant’s grant sets', () => {
  let world: Onboarded;
  let cli: CommandLine;
  let anna: CommandLine;
  beforeAll(async () => {
    world = await onboarded();
    cli = new CommandLine(world, world.acme);
    anna = new CommandLine(world, world.acme, 'admin');
  }, 180_000);
  afterAll(async () => {
    for (const one of [cli, anna]) one?.remove();
    await world?.stop();
  }, 60_000);

  const admin = (method: string, path: string, body?: unknown, headers?: Record<string, string>) =>
    must(world.platform.urls.keyPlane, world.acme.admin, method, `/v1/tenants/acme${path}`, body, headers);
  const leases = async (...options: string[]) => (await cli.json('leases', ...options)) as unknown as Leases;

  it('is obeyed by the SDK, seen by the auditor, told to the admin, counted by a stop’s receipt, and gone after its end', async () => {
    const [grant] = INVOICE_POLICY.grants;
    await admin('PUT', '/policy', { ...INVOICE_POLICY, grants: [{ ...grant, lease: LEASE }] }, { 'if-match': '"1"' });
    const client = new KeywardClient({ apiKey: world.billing, url: world.platform.urls.dataPlanes[0]! });
    const fields = new Fields(client);
    const bound = fields.of({ tenant: 'acme', keyId: 'alias/invoices', context: { purpose: 'invoice' } });
    const askedAt = Date.now();
    for (let use = 0; use < 4; use++) await bound.encrypt(Buffer.from('4711'));

    // Three uses of one data key, the fourth of another.
    const { items } = await leases();
    expect(items).toMatchObject([
      { count: 1, maxUses: 3 },
      { count: 1, maxUses: 3 },
    ]);
    const until = items.map((lease) => Date.parse(lease.until));
    expect(Math.min(...until)).toBeGreaterThanOrEqual(askedAt + 6000);
    expect(await leases('--key', world.acme.keyId, '--principal', 'billing')).toMatchObject({ items: [{}, {}] });
    expect(await leases('--principal', 'nobody')).toMatchObject({ items: [] });
    expect(await leases('--limit', '1')).toMatchObject({ items: [{ seq: items[0]!.seq }], nextCursor: String(items[1]!.seq) });
    expect(await leases('--cursor', String(items[1]!.seq))).toMatchObject({ items: [{ seq: items[1]!.seq }] });
    expect(await cli.run('leases')).toMatchObject({ exit: 0, out: expect.stringContaining('billing') as string });

    // What breaks if the admin disables the key instead.
    const usage = await anna.json('key', 'usage', world.acme.keyId);
    expect(usage).toMatchObject({
      services: [
        {
          ...{ service: 'billing', uses: 2, usesLately: 2, refusedLately: 0 },
          operations: [{ operation: 'GenerateDataKey', uses: 2 }],
          leases: { count: 2, until: items[1]!.until },
        },
      ],
      usableBy: [{ subject: 'svc:billing', grant: 'billing-invoices' }],
      sentences: [
        expect.stringMatching(/^billing would fail: 2 calls in the last 30 days \(GenerateDataKey\), .* It may hold 2 data keys/),
      ],
    });
    expect((await anna.run('key', 'usage', world.acme.keyId)).out).toContain('billing would fail');
    expect(await anna.json('key', 'describe', world.acme.keyId)).toMatchObject({
      lastUse: { operation: 'GenerateDataKey', service: 'billing' },
    });

    const { body } = await admin('POST', '/stops', { target: { scope: 'service', service: 'billing' } });
    const { receipt } = body as { receipt: { leases: { count: number; until: string } } };
    expect(receipt.leases).toMatchObject({ count: 2, complete: true, until: items[1]!.until });
    expect((await leases()).items).toHaveLength(2);

    await sleep(Math.max(...until) - Date.now() + 50);
    expect((await leases()).items).toEqual([]);
    await expect(bound.encrypt(Buffer.from('4711'))).rejects.toMatchObject({ code: 'stopped' });
    fields.close();
    client.close();
  });
});
