import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { parseCiphertext } from '#core';
import { parseVkey, verifyCertificate } from '#trail';
import { KeywardAdmin, KeywardClient, KeywardError } from '#sdk';
import { must } from '../stories/api.js';
import { builtTest } from '../stories/built.js';
import { INVOICE_POLICY, type Onboarded, onboarded } from '../stories/onboarded.js';
import { kill9, type Victim, VICTIMS } from './rewrap-victims.js';

const ITEMS = Number(process.env['KEYWARD_TEST_REWRAP_ITEMS'] ?? 20_000);
const AT_ONCE = 500;
const context = { purpose: 'invoice' };

/** Everything that is under one version moves to the next, whatever dies meanwhile, and the count of it is exact. */
describe(`a re-wrap of ${ITEMS} data keys`, () => {
  let world: Onboarded;
  let rows: pg.Client;
  let admin: KeywardAdmin;
  let client: KeywardClient;

  beforeAll(async () => {
    world = await onboarded({ dataPlanes: 1 });
    const { urls, superuserUrl } = world.platform;
    rows = new pg.Client({ connectionString: superuserUrl });
    await rows.connect();
    await rows.query(
      'CREATE SCHEMA isv; CREATE TABLE isv.invoice (id integer PRIMARY KEY, edk bytea NOT NULL, writes integer NOT NULL DEFAULT 0)',
    );
    admin = new KeywardAdmin({ apiKey: world.acme.admin, keyPlane: urls.keyPlane, attemptMs: 10_000, totalMs: 60_000, attempts: 100 });
    client = new KeywardClient({ apiKey: world.billing, url: urls.dataPlanes[0]!, attempts: 100, totalMs: 60_000 });
    const [grant] = INVOICE_POLICY.grants;
    const operations = ['Decrypt', 'GenerateDataKey', 'ReEncryptFrom', 'ReEncryptTo'];
    const policy = { ...INVOICE_POLICY, grants: [{ ...grant, operations }] };
    await must(urls.keyPlane, world.acme.admin, 'PUT', '/v1/tenants/acme/policy', policy, { 'if-match': '"1"' });
  }, 180_000);
  afterAll(async () => {
    client?.close();
    await rows?.end();
    await world?.stop();
  }, 60_000);

  /** The service's own table, sealed under the key's first version. */
  async function filled(): Promise<void> {
    for (let id = 1; id <= ITEMS; id += AT_ONCE) {
      const ids = Array.from({ length: Math.min(AT_ONCE, ITEMS - id + 1) }, (_, index) => id + index);
      const made = await client.generateDataKeyBatch(
        'acme',
        ids.map(() => ({ keyId: 'alias/invoices', context })),
      );
      const edks = made.map((one) => {
        if ('error' in one) throw one.error;
        one.plaintext.fill(0);
        return Buffer.from(one.ciphertext);
      });
      await rows.query('INSERT INTO isv.invoice SELECT * FROM unnest($1::integer[], $2::bytea[])', [ids, edks]);
    }
  }

  const edksOf = async (ids: readonly number[]): Promise<Buffer[]> =>
    (await rows.query<{ edk: Buffer }>('SELECT edk FROM isv.invoice WHERE id = ANY ($1)', [ids])).rows.map(({ edk }) => edk);
  const counted = async (): Promise<number> =>
    Number((await rows.query<{ done: string }>('SELECT done FROM keyward.rewrap')).rows[0]?.done ?? 0);

  function service(operationId: string): ChildProcess {
    const { urls, superuserUrl } = world.platform;
    const env = { ...process.env, SERVICE_KEY: world.billing, USES: urls.dataPlanes[0], ROWS: superuserUrl, OPERATION: operationId };
    return spawn(process.execPath, [builtTest('faults/rewrapping-sdk.js')], { env, stdio: ['ignore', 'ignore', 'pipe'] });
  }

  /** Old and new ciphertexts open all the while. Answers those that did not, until it is ended. */
  async function opening(isOver: () => boolean): Promise<string[]> {
    const refused: string[] = [];
    for (let id = 1; !isOver(); id = (id % ITEMS) + 1 + Math.floor(ITEMS / 97)) {
      const [ciphertext] = await edksOf([1 + (id % ITEMS)]);
      try {
        (await client.decrypt({ tenant: 'acme', ciphertext: ciphertext!, context })).plaintext.fill(0);
      } catch (error) {
        if (!(error instanceof KeywardError) || !error.retryable) refused.push(String(error));
      }
    }
    return refused;
  }

  it('survives ten kills, and ends with every one under the new version, counted once', async () => {
    await filled();
    const { keyId, primaryVersion: from } = await admin.describeKey('acme', world.acme.keyId);
    const { primaryVersion: to } = await admin.createKeyVersion('acme', keyId, {});
    const { operationId } = await admin.startRewrap('acme', keyId, {
      fromVersionId: from,
      service: 'billing',
      itemsPerSecond: Math.ceil(ITEMS / 10),
    });

    let isOver = false;
    const refused = opening(() => isOver);
    const waiting: Victim[] = [...VICTIMS];
    const errors: string[] = [];
    try {
      for (let code: number | null = null; code !== 0; ) {
        const sdk = service(operationId);
        sdk.stderr?.on('data', (text: Buffer) => errors.push(text.toString()));
        const ended = once(sdk, 'exit');
        while (sdk.exitCode === null && sdk.signalCode === null) {
          // Each after another fifteenth of the items.
          const next = VICTIMS.length - waiting.length + 1;
          const victim = waiting[0];
          if (victim !== undefined && (await counted()) >= (next * ITEMS) / 15) {
            waiting.shift();
            kill9(victim, world.platform, sdk);
            if (victim === 'sdk') break;
          }
          await sleep(10);
        }
        await ended;
        code = sdk.exitCode;
        // By itself it ends only when it is done.
        if (sdk.signalCode === null && code !== 0) throw new Error(errors.join(''));
      }
    } finally {
      isOver = true;
    }
    expect(waiting).toEqual([]);
    expect(await refused).toEqual([]);

    const { rows: stored } = await rows.query<{ edk: Buffer; writes: number }>('SELECT edk, writes FROM isv.invoice');
    expect(stored).toHaveLength(ITEMS);
    expect(stored.filter(({ edk, writes }) => parseCiphertext(edk).versionId !== to || writes !== 1)).toEqual([]);
    expect(await admin.describeOperation('acme', operationId)).toMatchObject({
      state: 'succeeded',
      progress: { population: ITEMS, done: ITEMS, failed: 0 },
    });
    const { certificate } = await admin.completionCertificate('acme', operationId);
    const certified = await verifyCertificate(certificate, [parseVkey(world.acme.vkey)]);
    expect(certified.moved + certified.kept).toBe(ITEMS);
    expect(certified).toMatchObject({
      ...{ tenant: 'acme', operationId, keyId, fromVersionId: from, toVersionId: to, service: 'billing' },
      ...{ population: ITEMS, failed: 0 },
    });
    const sample = await client.decryptBatch(
      'acme',
      stored.slice(0, 100).map(({ edk }) => ({ ciphertext: edk, context })),
    );
    expect(sample.filter((one) => 'error' in one || one.keyVersionId !== to)).toEqual([]);
  }, 400_000);
});
