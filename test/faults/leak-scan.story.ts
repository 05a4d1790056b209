import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { appendFileSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { DATA_OPERATIONS } from '#contract';
import { connect } from 'node:net';
import pg from 'pg';
import { RedisServer, redisIsMissing } from '../queue/redis-server.js';
import { builtTest, hsmEnvironment } from '../stories/built.js';
import { must } from '../stories/api.js';
import { INVOICE_POLICY, type Onboarded, onboarded } from '../stories/onboarded.js';
import { forms } from './forms.js';
import { Needles } from './needles.js';
import { scanImage } from './process-image.js';

const DATA_KEYS = 240;

function filesBelow(directory: string): string[] {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}

const IMAGES = ['key-plane', 'data-plane-1', 'auditor', 'worker'] as const;
/** Where /proc shows what a process has in memory. */
const LINUX = process.platform === 'linux';
const MEDIA = ['tables', 'WAL', 'logs', 'data directory', ...(redisIsMissing === undefined ? ['Redis'] : [])];

/** Promise 4: no CMK in readable form in tables, WAL, logs, any file of the data directory, Redis or a process that is no custodian; no data key at rest. */
describe('keys stay in the HSM', () => {
  let world: Onboarded;
  let client: pg.Client;
  let redis: RedisServer | undefined;
  const dataKeys: Buffer[] = [];

  beforeAll(async () => {
    if (redisIsMissing === undefined) redis = await RedisServer.start();
    world = await onboarded(redis === undefined ? {} : { env: { REDIS_URL: redis.url } });
    client = new pg.Client({ connectionString: world.platform.superuserUrl });
    await client.connect();
    const generate = () =>
      must(world.platform.urls.dataPlanes[0]!, world.billing, 'POST', '/v1/tenants/acme/data-keys', {
        keyId: 'alias/invoices',
        encryptionContext: { purpose: 'invoice' },
      });
    await useInSoftware();
    for (let i = 0; i < DATA_KEYS; i++) dataKeys.push(Buffer.from(String((await generate()).body['plaintext']), 'base64'));
  }, 240_000);
  afterAll(async () => {
    await client?.end();
    await world?.stop();
    await redis?.stop();
  }, 60_000);

  /** Keys that the custodian uses in its memory: nowhere else either. */
  async function useInSoftware(): Promise<void> {
    const { keyPlane, dataPlanes } = world.platform.urls;
    const grants = [
      ...INVOICE_POLICY.grants,
      { id: 'sm', subjects: ['svc:billing'], objects: ['alias/sm*'], operations: ['@read', '@write'] },
    ];
    await must(keyPlane, world.operator, 'PUT', '/v1/services/billing/catalogue', { operations: DATA_OPERATIONS });
    await must(keyPlane, world.acme.admin, 'PUT', '/v1/tenants/acme/policy', { ...INVOICE_POLICY, grants }, { 'if-match': '"1"' });
    const message = Buffer.from('message').toString('base64');
    for (const [keySpec, path, body] of [
      ['SM4', 'encrypt', { plaintext: message }],
      ['HMAC_SM3', 'mac', { message }],
      ['EC_SM2', 'sign', { message, algorithm: 'SM2DSA' }],
    ] as const) {
      const alias = `alias/sm-${keySpec.toLowerCase().replace('_', '-')}`;
      const made = await must(keyPlane, world.acme.admin, 'POST', '/v1/tenants/acme/keys', { alias, keySpec });
      expect(made.body['protectionLevel']).toBe('SOFTWARE');
      await must(dataPlanes[0]!, world.billing, 'POST', `/v1/tenants/acme/${path}`, { keyId: alias, ...body });
    }
  }

  const wal = () => filesBelow(join(world.platform.dataDir.postgres, 'pg_wal'));
  const logs = () => filesBelow(world.platform.dataDir.logs);
  const everything = () => filesBelow(world.platform.dataDir.root);

  /** All rows of all tables as COPY writes them. */
  async function tables(): Promise<Buffer> {
    const { rows } = await client.query<{ name: string }>(
      "SELECT format('%I.%I', schemaname, tablename) AS name FROM pg_tables WHERE schemaname = 'keyward'",
    );
    const texts: string[] = [];
    for (const { name } of rows)
      texts.push(...(await client.query<{ line: string }>(`SELECT t::text AS line FROM ${name} t`)).rows.map(({ line }) => line));
    return Buffer.from(texts.join('\n'));
  }

  /** Which media hold one of these secrets, in any form. */
  async function whereIs(secrets: readonly Buffer[]): Promise<string[]> {
    const needles = new Needles(secrets.flatMap(forms));
    await client.query('CHECKPOINT');
    const found = needles.foundIn(await tables()) ? ['tables'] : [];
    const media = { WAL: wal(), logs: logs(), 'data directory': everything() };
    for (const [medium, files] of Object.entries(media)) if (files.some((file) => needles.foundIn(readFileSync(file)))) found.push(medium);
    if (redis !== undefined && needles.foundIn(await redis.dump())) found.push('Redis');
    return found;
  }

  /** Whether this process has one of these secrets in memory, in any form. */
  const has = (name: string, secrets: readonly Buffer[]): boolean =>
    scanImage(world.platform.processes.get(name)!.pid!, new Needles(secrets.flatMap(forms))).found;

  it('finds its own canary in each medium', async () => {
    const inDatabase = randomBytes(32);
    const inLogs = randomBytes(32);
    const inFiles = randomBytes(32);
    await client.query('UPDATE keyward.cmk SET description = $1 WHERE tenant_id = $2', [inDatabase.toString('base64'), 'globex']);
    appendFileSync(join(world.platform.dataDir.logs, 'data-plane-1.log'), `${inLogs.toString('hex')}\n`);
    writeFileSync(join(world.platform.dataDir.root, 'canary'), inFiles);
    const inRedis = randomBytes(32);
    await redis?.put('canary', inRedis.toString('base64'));
    if (MEDIA.includes('Redis')) expect(await whereIs([inRedis])).toEqual(['Redis']);
    expect(await whereIs([inDatabase])).toEqual(expect.arrayContaining(['tables', 'WAL']));
    expect(await whereIs([inLogs])).toContain('logs');
    expect(await whereIs([inFiles])).toContain('data directory');
  }, 120_000);

  it('finds no CMK', async () => {
    const { rows } = await client.query<{ tenant: string; level: string; blob: string }>(
      "SELECT tenant_id AS tenant, protection_level AS level, encode(blob, 'base64') AS blob FROM keyward.key_version ORDER BY length(blob)",
    );
    const output = execFileSync(process.execPath, [builtTest('faults/unwrap-cmk.js')], {
      input: JSON.stringify(rows),
      env: await hsmEnvironment(world.platform),
    });
    const keys = output
      .toString()
      .trim()
      .split('\n')
      .map((line) => Buffer.from(line, 'base64'));
    // Two of AES_256, SM4, and one each of HMAC_SM3 and EC_SM2.
    expect(keys.map(({ length }) => length)).toEqual([32, 32, 16, 32, 32]);
    expect(await whereIs(keys)).toEqual([]);
    if (LINUX) expect(IMAGES.filter((name) => has(name, keys))).toEqual([]);
  }, 120_000);

  (LINUX ? it : it.skip)(
    'finds its own canary in each process',
    async () => {
      const { keyPlane, dataPlanes, auditor, worker } = world.platform.urls;
      for (const [name, url] of Object.entries({ 'key-plane': keyPlane, 'data-plane-1': dataPlanes[0]!, auditor, worker })) {
        const canary = randomBytes(32);
        const { hostname, port } = new URL(url);
        const socket = connect({ host: hostname, port: Number(port) });
        // A request that does not end: the process holds what there is of it.
        socket.write(`GET /livez HTTP/1.1\r\nhost: keyward\r\nx-canary: ${canary.toString('hex')}`);
        while (!has(name, [canary])) await sleep(100);
        socket.destroy();
      }
    },
    240_000,
  );

  it('finds no API key of a service, an admin or an auditor', async () => {
    const secretOf = (apiKey: string) => Buffer.from(apiKey.slice(-43), 'base64url');
    const secrets = [world.billing, world.acme.admin, world.acme.auditor, world.globex.admin].map(secretOf);
    expect(secrets.map(({ length }) => length)).toEqual([32, 32, 32, 32]);
    expect(await whereIs(secrets)).toEqual([]);
  }, 60_000);

  it(`finds none of ${DATA_KEYS} data keys`, async () => {
    expect(new Set(dataKeys.map((key) => key.toString('hex'))).size).toBe(DATA_KEYS);
    expect(await whereIs(dataKeys)).toEqual([]);
  }, 240_000);
});
