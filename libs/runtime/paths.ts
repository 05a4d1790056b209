import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** The checkout (or the unpacked release): the nearest folder above this file that holds `run.mjs`. */
export const checkoutRoot = findCheckout(import.meta.dirname);

/** The compiled program of an app, for example `builtProgram('key-plane', 'main.js')`. */
export function builtProgram(app: string, file: string): string {
  return join(checkoutRoot, 'dist', 'apps', app, file);
}

/** A file of the checkout that is read at run time, for example `checkoutPath('policies', 'model.conf')`. */
export function checkoutPath(...parts: readonly string[]): string {
  return join(checkoutRoot, ...parts);
}

function findCheckout(from: string): string {
  if (existsSync(join(from, 'run.mjs'))) return from;
  const parent = dirname(from);
  if (parent === from) throw new Error('Keyward runs from a checkout or an unpacked release: run.mjs was not found above its code.');
  return findCheckout(parent);
}
