import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { type EnvOf, softHsmModule } from '#runtime';
import { FaultyModule } from '../../hsm/faulty-module.js';
import { RedisServer, redisIsMissing } from '../../queue/redis-server.js';
import { must } from '../../stories/api.js';
import { builtTest } from '../../stories/built.js';
import { INVOICE_POLICY, type Onboarded, onboarded, type Tenant } from '../../stories/onboarded.js';
import type { Calendar } from './calendar.js';
import type { Cut } from './cut.js';
import { FakeClock, fakeTimeLibrary } from './fake-clock.js';
import { SmallDisk } from './small-disk.js';
import { TcpFaultProxy } from './tcp-fault-proxy.js';

/** Reached by a proxy of its own each: these and the database, the worker and Redis. */
const CLIENTS_OF_POSTGRES = ['key-plane', 'data-plane-1', 'data-plane-2', 'auditor', 'worker'] as const;
const CLOCKS = ['key-plane', 'data-plane-1', 'data-plane-2', 'worker'] as const;
const ROTATING = 2;
const ROTATION_DAYS = 7;

export interface Customer extends Tenant {
  readonly service: string;
  /** The service's credential of now; the operator changes it. */
  credential: { readonly apiKey: string; readonly credentialId: string };
  /** Credentials that were revoked, or may have been. */
  readonly retired: { readonly apiKey: string; readonly credentialId: string }[];
  /** Rotated automatically; nobody rotates them by hand. */
  readonly rotating: readonly string[];
}

/** A whole platform that can go wrong in every way that a fault names, two customers on it, and a service for each. */
export interface FaultWorld {
  readonly onboarded: Onboarded;
  readonly customers: { readonly acme: Customer; readonly globex: Customer };
  readonly hsm: FaultyModule;
  /** By the name of the process, and `redis`. */
  readonly proxies: ReadonlyMap<string, TcpFaultProxy>;
  readonly redis: RedisServer | undefined;
  readonly clocks: ReadonlyMap<string, FakeClock>;
  readonly disk: SmallDisk | undefined;
  readonly calendar: Calendar;
  /** What could not be had here, and why. */
  readonly missing: readonly string[];
  /** What is cut out of every process that starts from now on. */
  cut(cuts: readonly Cut[]): void;
  stop(): Promise<void>;
}

export const policyOf = (service: string) => ({
  ...INVOICE_POLICY,
  grants: [
    {
      ...INVOICE_POLICY.grants[0],
      ...{ subjects: [`svc:${service}`], objects: ['*'] },
      operations: ['Encrypt', 'Decrypt', 'GenerateDataKey', 'ReEncryptFrom', 'ReEncryptTo'],
    },
  ],
});

/** `cuts`: what is cut out of every process from the beginning. */
export async function startFaultWorld(cuts: readonly Cut[] = []): Promise<FaultWorld> {
  const undo: (() => Promise<unknown> | void)[] = [];
  const stop = async () => {
    for (const next of undo.splice(0).reverse()) await next();
  };
  try {
    return await start(undo, stop, cuts);
  } catch (error) {
    await stop();
    throw error;
  }
}

async function start(undo: (() => Promise<unknown> | void)[], stop: () => Promise<void>, cuts: readonly Cut[]): Promise<FaultWorld> {
  const hsm = new FaultyModule(await softHsmModule());
  undo.push(() => hsm.remove());
  const folder = mkdtempSync(join(tmpdir(), 'kw-faulty-'));
  undo.push(() => rmSync(folder, { recursive: true }));
  const disk = SmallDisk.mounted('kw-faults-');
  if (disk !== undefined) undo.push(() => disk.remove());
  const redis = redisIsMissing === undefined ? await RedisServer.start() : undefined;
  if (redis !== undefined) undo.push(() => redis.stop());
  const proxies = new Map<string, TcpFaultProxy>();
  for (const name of [...CLIENTS_OF_POSTGRES, 'redis']) {
    const proxy = await TcpFaultProxy.start(name === 'redis' ? redis?.port : undefined);
    undo.push(() => proxy.stop());
    proxies.set(name, proxy);
  }
  const library = await fakeTimeLibrary().catch(() => undefined);
  const clocks = new Map(library === undefined ? [] : CLOCKS.map((name) => [name, new FakeClock(folder, name, library)] as const));
  const cutsFile = join(folder, 'cuts.json');
  const cut = (wanted: readonly Cut[]) => writeFileSync(cutsFile, JSON.stringify(wanted));
  cut(cuts);
  const { KEYWARD_FAULTY_LOG: _, ...moduleEnv } = hsm.env;
  const world = await onboarded({
    ...{ dataPlanes: 2, custodians: 2, ...(disk && { dataDir: join(disk.path, 'platform') }) },
    env: {
      ...{ ...moduleEnv, KEYWARD_CUSTODIAN_HANG_MS: '1500', KEYWARD_TEST_CUTS: cutsFile },
      NODE_OPTIONS: `--import ${pathToFileURL(builtTest('faults/suite/sabotage.js')).href}`,
    },
    envOf: through(proxies, clocks, redis !== undefined),
  });
  undo.push(() => world.stop());
  const customers = { acme: await customer(world, world.acme, 'billing'), globex: await customer(world, world.globex, 'shipping') };
  const missing = [
    ...(disk === undefined ? ['a disk that can be full: only root may mount one'] : []),
    ...(redis === undefined ? [`Redis: ${redisIsMissing}`] : []),
    ...(clocks.size === 0 ? ['clocks that step: no libfaketime'] : []),
  ];
  return { onboarded: world, customers, hsm, proxies, redis, clocks, disk, calendar: { turns: 0 }, missing, cut, stop };
}

/** Each process through its own proxy, with its own clock; what is started before the processes is not. */
function through(proxies: FaultWorld['proxies'], clocks: FaultWorld['clocks'], withRedis: boolean): EnvOf {
  return (name, env) => {
    const proxied = { ...env, ...clocks.get(name)?.env };
    const proxy = proxies.get(name);
    const { KEYWARD_DATABASE_URL: url } = env;
    if (proxy === undefined || url === undefined) return proxied;
    const behind = new URL(url);
    proxy.target = Number(behind.port);
    behind.port = String(proxy.port);
    const redis = withRedis && name === 'worker' && { REDIS_URL: `redis://127.0.0.1:${proxies.get('redis')!.port}/0` };
    return { ...proxied, KEYWARD_DATABASE_URL: behind.href, ...redis };
  };
}

async function customer({ platform, operator }: Onboarded, tenant: Tenant, service: string): Promise<Customer> {
  const { keyPlane } = platform.urls;
  const { name, admin } = tenant;
  const asAdmin = async (...[method, path, body, headers]: [string, string, unknown?, Record<string, string>?]) =>
    (await must(keyPlane, admin, method, `/v1/tenants/${name}${path}`, body, headers)).body;
  if (service !== 'billing') await must(keyPlane, operator, 'POST', '/v1/services', { service });
  const issued = (await must(keyPlane, operator, 'POST', `/v1/services/${service}/credentials`, {})).body;
  const published = service === 'billing' ? { 'if-match': '"1"' } : { 'if-none-match': '*' };
  await asAdmin('PUT', '/policy', policyOf(service), published);
  const rotating: string[] = [];
  for (let index = 1; index <= ROTATING; index++) {
    const { keyId } = await asAdmin('POST', '/keys', { alias: `alias/rotating-${index}` });
    rotating.push(String(keyId));
    await asAdmin('PUT', `/keys/${String(keyId)}/rotation`, { enabled: true, intervalDays: ROTATION_DAYS }, { 'if-none-match': '*' });
  }
  const credential = { apiKey: String(issued['apiKey']), credentialId: String(issued['credentialId']) };
  return { ...tenant, service, credential, retired: [], rotating };
}
