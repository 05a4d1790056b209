import { appendFileSync, readFileSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { parseCiphertext } from '#core';
import { type CollectedItem, KeywardAdmin, KeywardClient, Rewraps, type StoredItem } from '#sdk';
import { parseVkey, verifyCertificate } from '#trail';
import { CommandLine } from '../stories/command-line.js';
import { type Onboarded, onboarded } from '../stories/onboarded.js';
import { childrenOf } from './children-of.js';

const ITEMS = Number(process.env['KEYWARD_TEST_UPLOAD_ITEMS'] ?? 1500);
const AT_ONCE = 500;
/** In this order, each after another tenth of the items. `hsm`: the custodian's child, which holds it. */
const VICTIMS = ['hsm', 'data-plane-1', 'worker', 'custodian'] as const;
const context = { purpose: 'invoice' };

/** A service hands over what it has, half of it by the command line, and takes it back; whatever dies, each item is moved and counted once. */
describe(`a re-wrap of ${ITEMS} data keys by upload`, () => {
  let world: Onboarded;
  let rows: pg.Client;
  let admin: KeywardAdmin;
  let client: KeywardClient;
  let rewraps: Rewraps;
  let shell: CommandLine;

  beforeAll(async () => {
    world = await onboarded({ dataPlanes: 1 });
    const { urls, superuserUrl } = world.platform;
    const [url] = urls.dataPlanes;
    rows = new pg.Client({ connectionString: superuserUrl });
    await rows.connect();
    const patient = { attempts: 100, totalMs: 60_000 };
    admin = new KeywardAdmin({ apiKey: world.acme.admin, keyPlane: urls.keyPlane, attemptMs: 10_000, ...patient });
    client = new KeywardClient({ apiKey: world.billing, url: url!, ...patient });
    rewraps = new Rewraps({ apiKey: world.billing, url: url! });
    shell = new CommandLine(world, world.acme, 'admin');
  }, 180_000);
  afterAll(async () => {
    client?.close();
    shell?.remove();
    await rows?.end();
    await world?.stop();
  }, 60_000);

  /** What the service has, under the key's first version. */
  async function sealed(): Promise<StoredItem[]> {
    const items: StoredItem[] = [];
    while (items.length < ITEMS) {
      const asked = Array.from({ length: Math.min(AT_ONCE, ITEMS - items.length) }, () => ({ keyId: 'alias/invoices', context }));
      for (const made of await client.generateDataKeyBatch('acme', asked)) {
        if ('error' in made) throw made.error;
        made.plaintext.fill(0);
        items.push({ itemId: `row-${items.length}`, ciphertext: made.ciphertext, context });
      }
    }
    return items;
  }

  const settled = async (): Promise<number> => Number((await rows.query('SELECT settled FROM keyward.rewrap')).rows[0]?.settled);

  async function killing(): Promise<void> {
    const { processes } = world.platform;
    for (const [at, victim] of VICTIMS.entries()) {
      while ((await settled()) < ((at + 1) * ITEMS) / 10) await sleep(10);
      if (victim === 'hsm') for (const pid of childrenOf(processes.get('custodian')?.pid)) process.kill(pid, 'SIGKILL');
      else processes.get(victim)?.kill('SIGKILL');
    }
  }

  /** Old ciphertexts open all the while; those that did not are answered. */
  async function opening(items: readonly StoredItem[], isOver: () => boolean): Promise<string[]> {
    const refused: string[] = [];
    for (let at = 0; !isOver(); at = (at + 97) % items.length)
      try {
        (await client.decrypt({ tenant: 'acme', ciphertext: items[at]!.ciphertext, context })).plaintext.fill(0);
      } catch (error) {
        refused.push(String(error));
      }
    return refused;
  }

  it(`survives ${VICTIMS.length} kills`, async () => {
    const items = await sealed();
    const { keyId, primaryVersion: from } = await admin.describeKey('acme', world.acme.keyId);
    const { primaryVersion: to } = await admin.createKeyVersion('acme', keyId, {});
    const rate = String(Math.ceil(ITEMS / 5));
    const begun = await shell.json('rewrap', 'start', keyId, '--from', from, '--service', 'billing', '--upload', '--rate', rate);
    const operationId = String(begun['operationId']);

    let isOver = false;
    const refused = opening(items, () => isOver);
    const killed = killing();
    const file = shell.file('items.jsonl');
    const half = Math.floor(ITEMS / 2);
    writeFileSync(file, '');
    for (const { ciphertext, ...item } of items.slice(0, half))
      appendFileSync(file, `${JSON.stringify({ ...item, ciphertext: Buffer.from(ciphertext).toString('base64') })}\n`);
    // The service was granted neither ReEncryptFrom nor ReEncryptTo: the project is the grant.
    expect(await shell.asBilling(world, 'rewrap', 'upload', operationId, '--file', file, '--population', String(ITEMS))).toMatchObject({
      exit: 0,
    });
    const uploading = rewraps.upload({ tenant: 'acme', operationId, items: items.slice(half - 100) });
    const back = new Map<string, Uint8Array>();
    const sink = async (results: readonly CollectedItem[]) => {
      for (const one of results) if (one.status === 'moved') back.set(one.itemId, one.ciphertext);
    };
    await Promise.all([uploading, killed]);
    // Half of it in this process; the rest, and the end, by the command line.
    const enough = new AbortController();
    const signal = enough.signal;
    await rewraps
      .collect({ tenant: 'acme', operationId, sink, signal, onProgress: ({ acknowledged }) => acknowledged > half && enough.abort() })
      .catch((error: unknown) => signal.aborted || Promise.reject(error as Error));
    const out = shell.file('moved.jsonl');
    const ended = await shell.asBilling(world, 'rewrap', 'collect', operationId, '--out', out, '--finish', '--json');
    isOver = true;
    expect(await refused).toEqual([]);
    expect([ended.exit, JSON.parse(ended.out)]).toMatchObject([0, { state: 'succeeded', progress: { population: ITEMS, done: ITEMS } }]);
    const lines = readFileSync(out, 'utf8')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { itemId: string; ciphertext: string });
    for (const { itemId, ciphertext } of lines) back.set(itemId, Buffer.from(ciphertext, 'base64'));

    expect(back.size).toBe(ITEMS);
    expect([...back.values()].filter((ciphertext) => parseCiphertext(ciphertext).versionId !== to)).toEqual([]);
    const sample = items.filter((_, at) => at % 29 === 0).slice(0, 100);
    const before = await client.decryptBatch(
      'acme',
      sample.map(({ ciphertext }) => ({ ciphertext, context })),
    );
    const after = await client.decryptBatch(
      'acme',
      sample.map(({ itemId }) => ({ ciphertext: back.get(itemId)!, context })),
    );
    const plain = (opened: typeof before) => opened.map((one) => ('error' in one ? one.error : Buffer.from(one.plaintext).toString('hex')));
    expect(plain(after)).toEqual(plain(before));
    // One record, or one place in a record's count, for each item that the worker moved.
    const { rows: told } = await rows.query(
      `SELECT outcome, sum(calls)::integer AS calls FROM keyward.trail_record WHERE tenant_id = 'acme' AND op = 'ReWrap' GROUP BY 1`,
    );
    expect(told).toEqual([{ outcome: 'succeeded', calls: ITEMS }]);
    const { certificate } = await admin.completionCertificate('acme', operationId);
    expect(await verifyCertificate(certificate, [parseVkey(world.acme.vkey)])).toMatchObject({
      population: ITEMS,
      moved: ITEMS,
      failed: 0,
    });
    // Retired: nothing is known to need the older version any more, as soon as the leases of the data keys are over.
    const references = await shell.json('rewrap', 'references', keyId, from);
    expect(JSON.stringify(references)).not.toMatch(/open-operation|uploaded|failed-items/);
  }, 240_000);
});
