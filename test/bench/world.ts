import { mkdirSync, readFileSync, statfsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import pg from 'pg';
import { z } from 'zod';
import { DATA_OPERATIONS, type DataOperation } from '#contract';
import { demoDataDir, type Platform, type PlatformOptions, removeDataDir, startPlatform } from '#runtime';
import { KeywardAdmin } from '#sdk';

const ALIAS = 'alias/invoices';
const CONTEXT = { purpose: 'invoice' };

/** A running platform with one tenant, one key, one published grant and one service that may use it. */
export interface World {
  readonly platform: Platform;
  /** The service's credential. */
  readonly apiKey: string;
  /** The credential of the tenant's admin. */
  readonly admin: string;
  readonly call: { readonly keyId: string; readonly encryptionContext: Readonly<Record<string, string>> };
  readonly database: pg.Client;
  stop(): Promise<void>;
}

/** Beside the demo's data, on the disk that a platform would use: a tmpfs would flatter the commits. */
export async function startWorld(options: Pick<PlatformOptions, 'envOf'> = {}): Promise<World> {
  const path = join(dirname(demoDataDir()), 'bench');
  removeDataDir(path);
  mkdirSync(dirname(path), { recursive: true });
  const platform = await startPlatform({ ...options, dataDir: path, ports: 'free' });
  const database = new pg.Client({ connectionString: platform.superuserUrl });
  const stop = async () => {
    await database.end().catch(() => undefined);
    await platform.stop();
    removeDataDir(path);
  };
  try {
    await database.connect();
    return { platform, ...(await grantedService(platform)), call: { keyId: ALIAS, encryptionContext: CONTEXT }, database, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

const credentials = z.object({ operator: z.object({ apiKey: z.string() }) });

/** A tenant with a key and a grant, and the service that it is for. */
export async function grantedService(platform: Platform, tenant = 'acme', service = 'billing'): Promise<Pick<World, 'apiKey' | 'admin'>> {
  const operator = operatorOf(platform);
  await operator.registerService({ service });
  const admin = await addTenant(platform, tenant, service);
  return { apiKey: (await operator.issueServiceCredential(service)).apiKey ?? '', admin };
}

/** A tenant with one key, and a grant for the service for this and all others. Answers its admin's credential. */
export async function addTenant(platform: Platform, tenant: string, service = 'billing'): Promise<string> {
  const { enrolmentCode } = await operatorOf(platform).onboardTenant({ tenant, displayName: tenant });
  const { apiKey } = await clientAs(platform, enrolmentCode).enrol(tenant, { admin: 'anna' });
  const admin = clientAs(platform, apiKey);
  await admin.createKey(tenant, { alias: ALIAS });
  const when = { encryptionContextEquals: CONTEXT };
  const grants = [{ id: 'invoices', subjects: [`svc:${service}`], objects: [ALIAS, '*'], operations: [...DATA_OPERATIONS], when }];
  await admin.putPolicy(tenant, { schema: 'keyward.policy/1', grants }, 0);
  return apiKey;
}

const clientAs = ({ urls: { keyPlane, auditor } }: Platform, apiKey: string) => new KeywardAdmin({ apiKey, keyPlane, auditor });
const operatorOf = (platform: Platform) =>
  clientAs(platform, credentials.parse(JSON.parse(readFileSync(platform.credentialsFile, 'utf8'))).operator.apiKey);

/** Successful operations that acme's log tells of; a record may count several. */
export async function countRecorded({ database }: World, operation: DataOperation): Promise<number> {
  const { rows } = await database.query<{ n: string }>(
    `SELECT coalesce(sum(coalesce((convert_from(bytes, 'UTF8')::json ->> 'count')::integer, 1)), 0) AS n
      FROM keyward.trail_record WHERE tenant_id = 'acme' AND op = $1 AND outcome = 'succeeded'`,
    [operation],
  );
  return Number(rows[0]?.n);
}

/** What makes a commit cheap or dear on this machine. */
export async function durability({ database, platform }: World) {
  const shown = async (name: string) => String((await database.query<Record<string, string>>(`SHOW ${name}`)).rows[0]?.[name]);
  return {
    fileSystem: FILE_SYSTEMS[statfsSync(platform.dataDir.root).type] ?? `0x${statfsSync(platform.dataDir.root).type.toString(16)}`,
    fsync: await shown('fsync'),
    synchronousCommit: await shown('synchronous_commit'),
  };
}

/** statfs(2) */
const FILE_SYSTEMS: Readonly<Record<number, string>> = {
  0xef53: 'ext4',
  0x01021994: 'tmpfs',
  0x58465342: 'xfs',
  0x9123683e: 'btrfs',
  0x794c7630: 'overlayfs',
  0x2fc12fc1: 'zfs',
};
