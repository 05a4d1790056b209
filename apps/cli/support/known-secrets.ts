import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { VerificationFailed } from '../exit-codes.js';

/** Files of the embedded platform that hold nothing but secrets. */
const FILES = [
  ...['hsm/pin', 'hsm/so-pin', 'pepper', 'worker-key', 'superuser-password', 'role-passwords.json', 'credentials.json', 'metrics-token'],
];
const SHORTEST = 12;

/** What must not be in a bundle, in the forms in which it could be: as it is, as hex, as base64; of JSON each long value. */
export function knownSecrets(dataDir: string): readonly string[] {
  return FILES.map((name) => join(dataDir, name))
    .filter((file) => existsSync(file))
    .flatMap((file) => formsOf(readFileSync(file)));
}

/** @throws VerificationFailed without telling what it was */
export function refuseSecrets(text: string, secrets: readonly string[]): void {
  if (secrets.some((secret) => text.includes(secret)))
    throw new VerificationFailed(
      'A secret of this platform would have been in the bundle: it was not written. Tell us which log it is in.',
    );
}

function formsOf(bytes: Buffer): string[] {
  const text = bytes.toString('utf8').trim();
  const values = text.startsWith('{') ? [...text.matchAll(/"([^"]{20,})"/g)].map(([, value]) => value!) : [text];
  const encoded = (['hex', 'base64', 'base64url'] as const).map((form) => bytes.toString(form).replaceAll('=', ''));
  return [...values, ...encoded].filter((form) => form.length >= SHORTEST && !/^https?:/.test(form));
}
