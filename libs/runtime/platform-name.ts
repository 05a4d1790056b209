import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { checkoutPath } from './paths.js';

const MAX_HOST = 40;
const BUILD_DIGITS = 12;
/** What runs: the compiled programs, and which packages they were installed with. */
const BUILT = ['dist/apps', 'dist/libs', 'dist/migrations', 'policies', 'package-lock.json'];

/**
 * Who keeps records, as they tell it: `host/version+build`. The build is the first 12 hex digits of a SHA-256 over every file that runs, so
 * two deployments of one build say the same, and a patched one says something else.
 */
export function platformName(host: string): string {
  const { version } = z.object({ version: z.string() }).parse(JSON.parse(readFileSync(checkoutPath('package.json'), 'utf8')));
  return `${host.slice(0, MAX_HOST)}/${version}+${buildDigest()}`;
}

function buildDigest(): string {
  const all = createHash('sha256');
  for (const part of BUILT)
    for (const file of filesIn(part))
      all.update(`${file}\0`).update(
        createHash('sha256')
          .update(readFileSync(checkoutPath(file)))
          .digest(),
      );
  return all.digest('hex').slice(0, BUILD_DIGITS);
}

function filesIn(part: string): string[] {
  const path = checkoutPath(part);
  if (!existsSync(path)) return [];
  if (part.includes('.')) return [part];
  const entries = readdirSync(path, { recursive: true, withFileTypes: true });
  const files = entries
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => join(parentPath, name).slice(checkoutPath().length + 1));
  return files.sort();
}
