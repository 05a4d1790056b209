import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { type Platform, startPlatform } from '#runtime';
import { KeywardAdmin, type Proof } from '#sdk';
import type { Settings } from '../settings.js';

/** What tenants grant the service: everything it needs with the key of their customers' data, and nothing else. */
const POLICY = {
  schema: 'keyward.policy/1' as const,
  grants: [
    {
      id: 'invoicing',
      subjects: ['svc:invoicing'],
      objects: ['alias/customers'],
      operations: ['Encrypt', 'Decrypt', 'GenerateDataKey'] as const,
    },
  ],
};

/** A tenant's admin, and its key. */
export interface Holder {
  readonly admin: KeywardAdmin;
  readonly keyId: string;
}

export interface Stage {
  readonly platform: Platform;
  readonly settings: Settings;
  readonly tenants: Readonly<Record<'acme' | 'globex', Holder>>;
  end(): Promise<void>;
}

/** A whole platform in a folder of its own, two tenants who granted the service their keys, and a database for the service on the same server. */
export async function setStage(): Promise<Stage> {
  const dataDir = mkdtempSync(join(tmpdir(), 'kw-invoicing-'));
  const platform = await startPlatform({ dataDir, ports: 'free' });
  const end = async () => {
    await platform.stop();
    rmSync(dataDir, { recursive: true, force: true });
  };
  try {
    const { operator } = JSON.parse(readFileSync(platform.credentialsFile, 'utf8')) as { operator: { apiKey: string } };
    const as = (proof: Proof) => new KeywardAdmin({ ...proof, keyPlane: platform.urls.keyPlane, auditor: platform.urls.auditor });
    const acme = await holder(as, as(operator), 'acme');
    const globex = await holder(as, as(operator), 'globex');
    await as(operator).registerService({ service: 'invoicing' });
    const { apiKey = '' } = await as(operator).issueServiceCredential('invoicing');
    const databaseUrl = await database(platform, 'invoicing');
    return {
      platform,
      settings: { databaseUrl, keywardUrl: platform.urls.dataPlanes[0]!, apiKey, port: 0 },
      tenants: { acme, globex },
      end,
    };
  } catch (error) {
    await end();
    throw error;
  }
}

async function holder(as: (proof: Proof) => KeywardAdmin, operator: KeywardAdmin, tenant: string): Promise<Holder> {
  const { enrolmentCode } = await operator.onboardTenant({ tenant, displayName: tenant });
  const { apiKey } = await as({ apiKey: enrolmentCode }).enrol(tenant, { admin: `${tenant}-admin` });
  const admin = as({ apiKey });
  const { keyId } = await admin.createKey(tenant, { alias: 'alias/customers' });
  await admin.putPolicy(tenant, { ...POLICY, grants: POLICY.grants.map((grant) => ({ ...grant, operations: [...grant.operations] })) }, 0);
  return { admin, keyId };
}

/** A database with an owner of its own, beside Keyward's. Answers its URL. */
async function database({ postgres }: Platform, name: string): Promise<string> {
  const client = new pg.Client({ connectionString: postgres.superuserUrl() });
  await client.connect();
  const password = 'only-for-this-play';
  await client.query(`CREATE ROLE ${name} LOGIN PASSWORD '${password}'`);
  await client.query(`CREATE DATABASE ${name} OWNER ${name}`);
  await client.end();
  return postgres.urlFor(name, password, name);
}
