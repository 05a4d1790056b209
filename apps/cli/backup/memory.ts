import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { UsageError } from '../exit-codes.js';
import { completeLines, type CustodyFile } from './custody-files.js';

const TOMBSTONES = 'state/tombstones.jsonl';
export const SIGNED = 'state/signed-checkpoints.jsonl';

const signedLine = z.object({ log: z.string(), size: z.coerce.number<string>().int().min(0), root: z.hex() });
type SignedTree = z.infer<typeof signedLine>;

/** How far each log was signed, by the lines of `signed-checkpoints.jsonl`: the last one of a log counts. */
export function signedTrees(bytes: Uint8Array): readonly SignedTree[] {
  return [
    ...new Map(
      linesOf(bytes)
        .map((line) => signedLine.parse(JSON.parse(line)))
        .map((tree) => [tree.log, tree]),
    ).values(),
  ];
}

const named = z.object({ tenant: z.string() }).transform(({ tenant }) => tenant);

/** Tenants that a file of the custodian's memory names: that had a key destroyed, or a log signed. */
export function tenantsIn({ path, bytes }: CustodyFile): readonly string[] {
  if (path === SIGNED) return signedTrees(bytes).map(({ log }) => log.slice(0, log.indexOf('/')));
  return path === TOMBSTONES ? linesOf(bytes).map((line) => named.parse(JSON.parse(line))) : [];
}

/**
 * One memory of two: that of the archive, and the one that outlived what is restored. Tombstones of both count; how far logs were signed, the
 * newer one knows. @throws UsageError where that is older than the archive
 */
export function joinedMemory(file: CustodyFile, newerState: string | undefined): CustodyFile {
  if (newerState === undefined || !file.path.startsWith('state/')) return file;
  const path = join(newerState, file.path.slice('state/'.length));
  if (!existsSync(path))
    throw new UsageError(`${path} is missing: --newer-state is the folder of the custodian's files that is still there.`);
  const newer = completeLines(readFileSync(path));
  if (file.path === TOMBSTONES) return { path: file.path, bytes: Buffer.concat([file.bytes, newer]) };
  const sizes = new Map(signedTrees(newer).map(({ log, size }) => [log, size]));
  const longer = signedTrees(file.bytes).find(({ log, size }) => size > (sizes.get(log) ?? 0));
  if (longer !== undefined)
    throw new UsageError(`${path} is older than the archive, which knows ${longer.size} signed records of ${longer.log}.`);
  return { path: file.path, bytes: newer };
}

const linesOf = (bytes: Uint8Array): readonly string[] => Buffer.from(bytes).toString('utf8').split('\n').slice(0, -1);
