import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import type { CheckedTrail } from '#persistence/backup';
import { type ProvisioningConfig, removeDataDir, withEmbeddedDatabase } from '#runtime';
import { refuseOpenFile } from '../credentials-file.js';
import { UsageError } from '../exit-codes.js';
import type { Places } from './places.js';
import { type ArchivesToRead, restoreCustody, restoreDatabase } from './restore.js';

export interface RestoreOrder {
  readonly dataDir: string;
  readonly places: Places;
  readonly config: Partial<ProvisioningConfig>;
  readonly pin: string | undefined;
  readonly firstCredential: string | undefined;
  readonly onChecked: (trail: CheckedTrail) => void;
}

const passwords = z.record(z.string(), z.string().min(16));

/** Into a server and folders that are configured, or into an embedded platform's directory, which is removed again when it fails. */
export async function restoreInto(archives: ArchivesToRead, order: RestoreOrder): Promise<readonly CheckedTrail[]> {
  const { superuserUrl, passwordsFile } = order.config;
  if (superuserUrl === undefined) return await restoreEmbedded(archives, order);
  if (passwordsFile === undefined) throw new UsageError('KEYWARD_ROLE_PASSWORDS_FILE must be set beside KEYWARD_SUPERUSER_URL.');
  refuseUsed(order.places);
  return await restore(archives, order, superuserUrl, passwords.parse(JSON.parse(readFileSync(passwordsFile, 'utf8'))));
}

async function restoreEmbedded(archives: ArchivesToRead, order: RestoreOrder): Promise<readonly CheckedTrail[]> {
  const { dataDir, pin, firstCredential } = order;
  if (pin === undefined) throw new UsageError("--pin FILE: the HSM's PIN is in no archive.");
  for (const file of [pin, firstCredential]) if (file !== undefined) refuseOpenFile(file);
  if (!isEmpty(dataDir)) throw new UsageError(`${dataDir} is not empty: restore into a folder that is, or that does not exist.`);
  try {
    // Roles get their passwords when the platform starts.
    return await withEmbeddedDatabase(dataDir, async (superuserUrl) => {
      copy(pin, join(dataDir, 'hsm', 'pin'));
      if (firstCredential !== undefined) copy(firstCredential, join(dataDir, 'credentials.json'));
      refuseUsed(order.places);
      return await restore(archives, order, superuserUrl, {});
    });
  } catch (error) {
    removeDataDir(dataDir);
    throw error;
  }
}

async function restore(archives: ArchivesToRead, order: RestoreOrder, superuserUrl: string, passwords: Readonly<Record<string, string>>) {
  try {
    const remembered = await restoreCustody(archives, order.places);
    return await restoreDatabase(archives, { superuserUrl, passwords, remembered, onChecked: order.onChecked });
  } catch (error) {
    removeRestored(order.places);
    throw error;
  }
}

function refuseUsed({ token, state, pepper, workerKey }: Places): void {
  for (const folder of [token, state])
    if (folder !== undefined && !isEmpty(folder)) throw new UsageError(`${folder} is not empty: restore into an empty folder.`);
  for (const file of [pepper, workerKey]) if (existsSync(file)) throw new UsageError(`${file} exists already.`);
}

/** They were empty before. */
function removeRestored({ token, state, pepper, workerKey }: Places): void {
  for (const folder of [token, state])
    if (folder !== undefined && existsSync(folder)) for (const name of readdirSync(folder)) rmSync(join(folder, name), { recursive: true });
  for (const file of [pepper, workerKey]) rmSync(file, { force: true });
}

const isEmpty = (folder: string): boolean => !existsSync(folder) || readdirSync(folder).length === 0;

function copy(from: string, to: string): void {
  mkdirSync(dirname(to), { recursive: true, mode: 0o700 });
  cpSync(from, to, { errorOnExist: true, force: false });
}
