import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { secretsInSettings } from '#runtime';
import { VerificationFailed } from '../exit-codes.js';

/** Files of the embedded platform that hold nothing but secrets. */
const FILES = [
  ...['hsm/pin', 'hsm/so-pin', 'pepper', 'worker-key', 'superuser-password', 'role-passwords.json', 'credentials.json', 'metrics-token'],
];
const SHORTEST = 8;

/**
 * What must not be in a bundle, in the forms in which it could be: as it is, as JSON writes it, as hex, as base64; of JSON each long value.
 * Besides the embedded platform's files, whatever else this process was told and may read.
 */
export function knownSecrets(dataDir: string, { files, passwords } = secretsInSettings()): readonly string[] {
  const all = [...FILES.map((name) => join(dataDir, name)), ...files];
  return [...all.flatMap(contentOf), ...passwords.map((password) => Buffer.from(password))].flatMap(formsOf);
}

/** @throws VerificationFailed without telling what it was */
export function refuseSecrets(text: string, secrets: readonly string[]): void {
  if (secrets.some((secret) => text.includes(secret)))
    throw new VerificationFailed(
      'A secret of this platform would have been in the bundle: it was not written. Tell us which log it is in.',
    );
}

/** What this process may not read it did not write into a bundle either. */
function contentOf(file: string): readonly Buffer[] {
  try {
    return [readFileSync(file)];
  } catch {
    return [];
  }
}

function formsOf(bytes: Buffer): string[] {
  const text = bytes.toString('utf8').trim();
  const values = text.startsWith('{') ? [...text.matchAll(/"([^"]{20,})"/g)].map(([, value]) => value!) : [text];
  const encoded = (['hex', 'base64', 'base64url'] as const).map((form) => bytes.toString(form).replaceAll('=', ''));
  const escaped = values.map((value) => JSON.stringify(value).slice(1, -1));
  return [...values, ...escaped, ...encoded].filter((form) => form.length >= SHORTEST && !/^https?:/.test(form));
}
