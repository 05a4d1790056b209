import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

/** The checkout; jest runs from it. */
export const checkout = resolve(__dirname, '..', '..');

export interface SourceFile {
  /** Relative to the checkout, with forward slashes. */
  readonly path: string;
  readonly text: string;
}

const FOLDERS = ['apps', 'examples', 'libs', 'migrations', 'test'];

/** Every TypeScript file of the product and its tests. */
export function sourceFiles(): SourceFile[] {
  const entries = FOLDERS.flatMap((folder) => listOf(folder));
  const paths = entries.filter((path) => path.endsWith('.ts')).sort();
  return paths.map((path) => ({ path, text: readFileSync(join(checkout, path), 'utf8') }));
}

function listOf(folder: string): string[] {
  try {
    return readdirSync(join(checkout, folder), { recursive: true, encoding: 'utf8' }).map(
      (name) => `${folder}/${name.replaceAll('\\', '/')}`,
    );
  } catch {
    return []; // a folder that no one has needed yet
  }
}
