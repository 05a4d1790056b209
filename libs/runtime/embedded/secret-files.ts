import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { createPublicKey, generateKeyPairSync, randomBytes } from 'node:crypto';
import { z } from 'zod';
import { randomPassword } from './data-dir.js';

/** The text of a 0600 file; made of 192 random bits when the file does not exist yet. */
export function randomSecretFile(file: string): string {
  if (!existsSync(file)) writeSecretFile(file, randomPassword());
  return readFileSync(file, 'utf8');
}

/** A 0600 file of 32 random bytes, made when it does not exist yet. */
export function randomBytesFile(file: string): string {
  if (!existsSync(file)) writeSecretFile(file, randomBytes(32));
  return file;
}

/** 0600 files with the halves of an X25519 key pair, PEM, made when they do not exist yet. */
export function keyPairFiles(file: string): { readonly publicKeyFile: string; readonly privateKeyFile: string } {
  const [publicKeyFile, privateKeyFile] = [`${file}.pub`, file];
  if (!existsSync(privateKeyFile))
    writeSecretFile(privateKeyFile, generateKeyPairSync('x25519').privateKey.export({ type: 'pkcs8', format: 'pem' }));
  if (!existsSync(publicKeyFile))
    writeSecretFile(publicKeyFile, createPublicKey(readFileSync(privateKeyFile)).export({ type: 'spki', format: 'pem' }));
  return { publicKeyFile, privateKeyFile };
}

const passwords = z.record(z.string(), z.string());

/** The passwords of these database roles in a 0600 JSON file `{ role: password }`; missing ones are made. */
export function passwordsFile<Role extends string>(file: string, roles: readonly Role[]): Record<Role, string> {
  const known = existsSync(file) ? passwords.parse(JSON.parse(readFileSync(file, 'utf8'))) : {};
  const all = Object.fromEntries(roles.map((role) => [role, known[role] ?? randomPassword()])) as Record<Role, string>;
  writeSecretFile(file, JSON.stringify(all));
  return all;
}

/** Written aside and renamed, so that an interrupted start leaves either nothing or the whole secret. */
function writeSecretFile(file: string, content: string | Uint8Array): void {
  const half = `${file}.${process.pid}`;
  writeFileSync(half, content, { mode: 0o600 });
  renameSync(half, file);
}
