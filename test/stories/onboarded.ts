import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Platform, type PlatformOptions, startPlatform } from '#runtime';
import { must } from './api.js';

export interface Tenant {
  readonly name: string;
  readonly admin: string;
  readonly auditor: string;
  readonly keyId: string;
  readonly vkey: string;
}

export interface Onboarded {
  readonly platform: Platform;
  readonly operator: string;
  readonly billing: string;
  readonly acme: Tenant;
  readonly globex: Tenant;
  stop(): Promise<void>;
}

export const INVOICE_POLICY = {
  schema: 'keyward.policy/1',
  grants: [
    {
      id: 'billing-invoices',
      subjects: ['svc:billing'],
      objects: ['alias/invoices'],
      operations: ['Encrypt', 'Decrypt', 'GenerateDataKey', 'GenerateDataKeyWithoutPlaintext'],
      when: { encryptionContextEquals: { purpose: 'invoice' } },
    },
  ],
};

/** A running platform with two tenants, each with a key `alias/invoices`, and the service billing, granted by acme alone. */
export async function onboarded(options: Partial<Omit<PlatformOptions, 'ports'>> = {}): Promise<Onboarded> {
  const { dataDir = mkdtempSync(join(tmpdir(), 'kw-story-')) } = options;
  const platform = await startPlatform({ ports: 'free', ...options, dataDir });
  const stop = async () => {
    await platform.stop();
    rmSync(dataDir, { recursive: true, force: true });
  };
  try {
    const { operator } = JSON.parse(readFileSync(platform.credentialsFile, 'utf8')) as { operator: { apiKey: string } };
    const { keyPlane } = platform.urls;
    const acme = await tenant(keyPlane, operator.apiKey, 'acme');
    const globex = await tenant(keyPlane, operator.apiKey, 'globex');
    await must(keyPlane, operator.apiKey, 'POST', '/v1/services', { service: 'billing' });
    const issued = await must(keyPlane, operator.apiKey, 'POST', '/v1/services/billing/credentials', {});
    await must(keyPlane, acme.admin, 'PUT', '/v1/tenants/acme/policy', INVOICE_POLICY, { 'if-none-match': '*' });
    return { platform, operator: operator.apiKey, billing: String(issued.body['apiKey']), acme, globex, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function tenant(keyPlane: string, operator: string, name: string): Promise<Tenant> {
  const { body: invited } = await must(keyPlane, operator, 'POST', '/v1/tenants', { tenant: name, displayName: name });
  const { body: enrolled } = await must(keyPlane, String(invited['enrolmentCode']), 'POST', `/v1/tenants/${name}/enrol`, {
    admin: `${name}-admin`,
  });
  const admin = String(enrolled['apiKey']);
  const { body: auditor } = await must(keyPlane, admin, 'POST', `/v1/tenants/${name}/credentials`, {
    principal: `${name}-auditor`,
    role: 'auditor',
  });
  const { body: key } = await must(keyPlane, admin, 'POST', `/v1/tenants/${name}/keys`, { alias: 'alias/invoices' });
  return { name, admin, auditor: String(auditor['apiKey']), keyId: String(key['keyId']), vkey: String(enrolled['vkey']) };
}
