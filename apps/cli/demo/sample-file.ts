import { createHash } from 'node:crypto';
import { closeSync, createReadStream, openSync, readdirSync, readFileSync, statSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { checkoutPath } from '#runtime';

/** What the demo promises to encrypt at least. */
export const SAMPLE_BYTES = 52_428_800;
const SOURCES = ['apps', 'docs', 'libs', 'migrations', 'policies', 'test', 'dist'];
const SINGLE_FILES = ['README.md', 'package-lock.json'];

/** Writes the checkout's own files one after another, and from the start again, until there are 50 MiB: real text, the same in every run. */
export function writeSampleFile(file: string): void {
  const paths = [...SINGLE_FILES, ...SOURCES.flatMap(filesUnder)];
  const contents = Buffer.concat(paths.map((path) => readFileSync(checkoutPath(path))));
  const handle = openSync(file, 'wx', 0o600);
  try {
    for (let written = 0; written < SAMPLE_BYTES; written += contents.length) writeSync(handle, contents);
  } finally {
    closeSync(handle);
  }
}

/** Hex, over the file's bytes. */
export async function sha256Of(file: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(file), hash);
  return hash.digest('hex');
}

/** Relative to the checkout, in one order everywhere. */
function filesUnder(folder: string): string[] {
  const root = checkoutPath(folder);
  if (statSync(root, { throwIfNoEntry: false }) === undefined) return [];
  const entries = readdirSync(root, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(folder, entry.parentPath.slice(root.length), entry.name))
    .sort();
}
