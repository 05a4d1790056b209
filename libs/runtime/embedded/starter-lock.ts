import { linkSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { hasCode } from '../error-code.js';
import { commandLine, isAlive } from './spawn.js';

/** Held by this very process; a file with our own process id that is not in here is left from an earlier process. */
const held = new Set<string>();

/**
 * Lets one starter at a time use a data directory: two would fight over its database and its token.
 * @returns a function that gives the directory back
 * @throws Error when another starter is alive
 */
export function lockDataDir(file: string): () => void {
  const mine = `${file}.${process.pid}`;
  writeFileSync(mine, String(process.pid), { mode: 0o600 });
  try {
    while (!tryLink(mine, file)) dropIfStale(file);
  } finally {
    rmSync(mine, { force: true });
  }
  held.add(file);
  return () => {
    held.delete(file);
    rmSync(file, { force: true });
  };
}

/** A link appears with its content, so nobody reads a half-written process id. */
function tryLink(from: string, to: string): boolean {
  try {
    linkSync(from, to);
    return true;
  } catch (error) {
    if (!hasCode(error, 'EEXIST')) throw error;
    return false;
  }
}

function dropIfStale(file: string): void {
  const holder = Number(readFileSync(file, 'utf8'));
  const runs = holder === process.pid ? held.has(file) : isAlive(holder) && commandLine(holder).includes('node');
  if (runs) throw new Error(`Process ${holder} already runs a platform in this data directory.`);
  rmSync(file, { force: true });
}
