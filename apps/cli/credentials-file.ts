import { closeSync, existsSync, fchmodSync, openSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import type { Proof } from '#sdk';
import { z } from 'zod';
import { UsageError } from './exit-codes.js';

const address = z.url({ protocol: /^https?$/ }).optional();
const addresses = { keyPlane: address, dataPlane: address, auditor: address };

/** What `npm start` writes for the first operator. `vkey` is that of the platform's own log. */
const firstCredentials = z.object({
  ...addresses,
  operator: z.object({ apiKey: z.string().min(1), expiresAt: z.string() }),
  vkey: z.string().optional(),
});

/** What `keyward enrol` and `keyward credential issue` write. `vkey` is the tenant's log key, pinned when it was first seen. */
const profile = z.object({
  ...addresses,
  tenant: z.string(),
  principal: z.string(),
  role: z.string(),
  credentialId: z.string(),
  expiresAt: z.string(),
  vkey: z.string().optional(),
  // One of three: a key of ours, a file where one keeps a token of one's own identity provider, or a service's own private key.
  apiKey: z.string().min(1).optional(),
  tokenFile: z.string().min(1).optional(),
  signingKey: z.object({ privateKey: z.looseObject({ kty: z.string() }), audience: z.string().optional() }).optional(),
});
export type Profile = z.infer<typeof profile>;

/** Who calls, and where. Absent addresses mean the documented ones on this host. */
export type Credentials = z.infer<z.ZodObject<typeof addresses>> & Pick<Profile, 'tenant' | 'role' | 'vkey'> & { readonly proof: Proof };

/**
 * Reads a credentials file of either form.
 * @throws UsageError when it is missing, malformed or readable by others
 */
export function readCredentials(file: string): Credentials {
  refuseOpenFile(file);
  const content = jsonOf(file);
  const own = profile.safeParse(content);
  if (own.success) return { ...own.data, proof: proofIn(own.data, file) };
  const first = firstCredentials.safeParse(content);
  if (!first.success) throw new UsageError(`${file} is not a credentials file.`);
  const { operator, ...planes } = first.data;
  return { ...planes, tenant: 'platform', role: 'operator', proof: { apiKey: operator.apiKey } };
}

function proofIn({ credentialId, apiKey, tokenFile, signingKey }: Profile, file: string): Proof {
  if (apiKey !== undefined) return { apiKey };
  if (tokenFile !== undefined) return { token: () => tokenOf(tokenFile) };
  if (signingKey === undefined) throw new UsageError(`${file} holds none of apiKey, tokenFile and signingKey.`);
  const { privateKey, audience } = signingKey;
  return { signingKey: { credentialId, privateKey, ...(audience !== undefined && { audience }) } };
}

/** Read for each call: whoever keeps it fresh needs no restart. */
function tokenOf(file: string): string {
  refuseOpenFile(file);
  return readFileSync(file, 'utf8').trim();
}

/** Writes a new file that only its owner may read. @throws UsageError when there is one already: a credential is shown only once */
export function writeProfile(file: string, content: Profile): void {
  refuseExisting(file);
  const handle = openSync(file, 'wx', 0o600);
  try {
    fchmodSync(handle, 0o600); // whatever the umask took away or left
    writeFileSync(handle, `${JSON.stringify(content, undefined, 2)}\n`);
  } finally {
    closeSync(handle);
  }
}

/** Notes where the planes are now: only the starter knows, and ports may change from start to start. */
export function noteAddresses(file: string, planes: Required<z.infer<z.ZodObject<typeof addresses>>>): void {
  const content = firstCredentials.parse(jsonOf(file));
  const aside = `${file}.${process.pid}`;
  try {
    writeFileSync(aside, `${JSON.stringify({ ...content, ...planes }, undefined, 2)}\n`, { mode: 0o600 });
    renameSync(aside, file);
  } finally {
    rmSync(aside, { force: true });
  }
}

/** Asked before the call, too: an answer that cannot be saved would be lost. @throws UsageError */
export function refuseExisting(file: string): void {
  if (existsSync(file)) throw new UsageError(`${file} exists already; choose another name.`);
}

/** On a shared host a key that others can read is theirs as well. */
export function refuseOpenFile(file: string): void {
  const stat = statSync(file, { throwIfNoEntry: false });
  if (stat === undefined) throw new UsageError(`There is no file ${file}.`);
  if (process.platform !== 'win32' && (stat.mode & 0o077) !== 0)
    throw new UsageError(`${file} can be read by others; run: chmod 600 ${file}`);
}

function jsonOf(file: string): unknown {
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch {
    throw new UsageError(`${file} cannot be read as JSON.`);
  }
}
