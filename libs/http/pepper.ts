import { createSecretKey, type KeyObject } from 'node:crypto';
import { readFileSync } from 'node:fs';

const PEPPER_BYTES = 32;

/** The key of API keys' digests (core/api-key.ts). @throws Error unless the file holds 32 bytes */
export function readPepper(file: string): KeyObject {
  const bytes = readFileSync(file);
  if (bytes.length !== PEPPER_BYTES) throw new Error(`KEYWARD_PEPPER_FILE must hold ${PEPPER_BYTES} bytes.`);
  const pepper = createSecretKey(bytes);
  bytes.fill(0);
  return pepper;
}
