import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import type { CredentialId, RecordBody, TenantId } from '#contract';
import { PLATFORM } from '#contract';
import { type Epochs, newCredentialId, newLogId, newRecordId, type TrailEntry } from '#core';
import { MIGRATIONS } from '../../migrations/index.js';
import { openDataDir, removeDataDir } from '../runtime/embedded/data-dir.js';
import { EmbeddedPostgres } from '../runtime/embedded/postgres.js';
import { provision } from './provision/provision.js';

export type Role = 'keyward_owner' | 'keyward_key_plane' | 'keyward_data_plane' | 'keyward_auditor' | 'keyward_worker';
const ROLES: readonly Role[] = ['keyward_owner', 'keyward_key_plane', 'keyward_data_plane', 'keyward_auditor', 'keyward_worker'];
const password = (role: string) => `password-of-${role}`;

/** A real server with the schema, for one test file. */
export class TestDatabase {
  private constructor(
    private readonly path: string,
    readonly server: EmbeddedPostgres,
  ) {}

  static async start(
    path: string = mkdtempSync(join(tmpdir(), 'keyward-db-')),
    env?: Readonly<Record<string, string>>,
  ): Promise<TestDatabase> {
    const server = await EmbeddedPostgres.start({ dataDir: openDataDir(path), env });
    const passwords = Object.fromEntries(ROLES.map((role) => [role, password(role)]));
    await provision({ superuserUrl: server.superuserUrl(), passwords, migrations: MIGRATIONS });
    return new TestDatabase(path, server);
  }

  async stop(): Promise<void> {
    await this.server.stop('immediate');
    removeDataDir(this.path);
  }

  get superuserUrl(): string {
    return this.server.superuserUrl('keyward');
  }

  settings(role: Role) {
    return { url: this.server.urlFor(role, password(role), 'keyward'), applicationName: `test ${role}` };
  }

  /** A session of a role, or of the superuser; end it. */
  async session(role: Role | 'superuser'): Promise<pg.Client> {
    const client = new pg.Client({ connectionString: role === 'superuser' ? this.superuserUrl : this.settings(role).url });
    client.on('error', () => undefined);
    await client.connect();
    return client;
  }

  async as<Answer>(role: Role | 'superuser', work: (client: pg.Client) => Promise<Answer>): Promise<Answer> {
    const client = await this.session(role);
    try {
      return await work(client);
    } finally {
      await client.end();
    }
  }

  /** Tenants with a head, a log and an admin's credential, `platform` among them. */
  async addTenants(...names: string[]): Promise<Map<string, TestTenant>> {
    return await this.as('superuser', async (client) => {
      const tenants = new Map<string, TestTenant>();
      for (const name of names) tenants.set(name, await addTenant(client, name));
      return tenants;
    });
  }
}

/** Any 32 bytes. */
export const MAC = `decode(repeat('00', 32), 'hex')`;

export interface TestTenant {
  readonly tenant: TenantId;
  readonly logId: string;
  readonly credentialId: CredentialId;
}

async function addTenant(client: pg.Client, name: string): Promise<TestTenant> {
  const tenant = name as TenantId;
  const logId = newLogId(Date.now());
  const credentialId = newCredentialId(Date.now());
  await client.query(`INSERT INTO keyward.tenant VALUES ($1, $1, 'Active', decode(repeat('5a', 32), 'hex'), now())`, [name]);
  await client.query('INSERT INTO keyward.tenant_head (tenant_id) VALUES ($1)', [name]);
  await client.query(`INSERT INTO keyward.log VALUES ($1, $2, 'keyward.test/' || $1, 'vkey')`, [name, logId]);
  await client.query(
    `INSERT INTO keyward.credential (tenant_id, credential_id, principal, role, auth_method, mac, created_at, expires_at, binding_mac)
      VALUES ($1, $2, 'anna', 'admin', 'api-key', ${MAC}, now(), now() + interval '1 day', ${MAC})`,
    [name, credentialId],
  );
  return { tenant, logId, credentialId };
}

/** The epochs as they are. */
export async function epochsOf(client: pg.Client, tenant: string): Promise<Epochs> {
  const { rows } = await client.query<{ tenant_id: string; epoch: string }>('SELECT tenant_id, epoch FROM keyward.tenant_head');
  const epoch = (name: string) => rows.find((row) => row.tenant_id === name)?.epoch ?? '';
  return { tenant: epoch(tenant), platform: epoch(PLATFORM) };
}

export function aRecord({ tenant, logId, credentialId }: TestTenant, op: RecordBody['op'], details: Partial<RecordBody> = {}): RecordBody {
  const now = Date.now();
  return {
    v: 1,
    id: newRecordId(now),
    log: logId,
    time: new Date(now).toISOString(),
    durationUs: 812,
    phase: 'single',
    op,
    category: 'use',
    rw: 'read',
    outcome: 'succeeded',
    actor: { type: 'service', tenant, principal: 'billing', credentialId, authMethod: 'api-key' },
    request: { requestId: `req_${now}` },
    ...details,
  };
}

export const anEntry = (
  owner: TestTenant,
  epochs: Epochs,
  op: RecordBody['op'] = 'Encrypt',
  details: Partial<RecordBody> = {},
): TrailEntry => ({
  tenant: owner.tenant,
  epochs,
  validUntil: undefined,
  body: aRecord(owner, op, details),
});
