import type { KeyObject } from 'node:crypto';
import type { Writable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { Readable } from 'node:stream';
import { type CheckedTrail, loadDatabase, RestoreRefused, type TenantObjects } from '#persistence/backup';
import { MIGRATIONS } from '../../../migrations/index.js';
import { UsageError, VerificationFailed } from '../exit-codes.js';
import { openArchive } from './archive.js';
import { type CustodyFile, writeCustodyFile } from './custody-files.js';
import type { ReadItem } from './items.js';
import {
  type ArchiveName,
  archiveName,
  type CustodyManifest,
  custodyManifest,
  type DatabaseManifest,
  databaseManifest,
  fileHead,
  filesEnd,
  headOf,
  tableHead,
  tablesEnd,
} from './manifest.js';
import { joinedMemory, SIGNED, signedTrees, tenantsIn } from './memory.js';
import type { Places } from './places.js';

export interface ArchivesToRead {
  readonly database: string;
  readonly custody: string;
  readonly identities: readonly KeyObject[];
  /** The folder of the custodian's memory, where that outlived what is restored. */
  readonly newerState: string | undefined;
  /** Tenants that may be lost: onboarded after the rows were read. */
  readonly without: readonly string[];
  readonly talk: Writable;
}
export interface CheckedArchives {
  readonly database: ArchiveName & { readonly manifest: DatabaseManifest; readonly rows: number };
  readonly custody: ArchiveName & { readonly manifest: CustodyManifest; readonly files: number };
}

/**
 * Reads both archives to their last byte before anything is restored: all of it is authentic, and the token of the one has what the rows of
 * the other need, and the rows are of every tenant that custody knows. @throws UsageError, DecryptFailed
 */
export async function checkArchives({
  database,
  custody,
  identities,
  newerState,
  without,
  talk,
}: ArchivesToRead): Promise<CheckedArchives> {
  const rows = await openArchive(
    database,
    identities,
    async ({ context, first, rest }) => {
      const name = archiveName(context, 'database', database);
      const manifest = headOf(databaseManifest, first);
      const expected = await eachTable(rest, async (_, body) => drained(body));
      return { ...name, manifest, rows: sum([...expected.values()]) };
    },
    talk,
  );
  const known = new Set<string>();
  const files = await openArchive(
    custody,
    identities,
    async ({ context, first, rest }) => {
      const name = archiveName(context, 'custody', custody);
      const manifest = headOf(custodyManifest, first);
      for (const { tenant } of manifest.objects) known.add(tenant);
      const learn = async (file: CustodyFile) => tenantsIn(joinedMemory(file, newerState)).forEach((tenant) => known.add(tenant));
      return { ...name, manifest, files: await eachFile(rest, learn) };
    },
    talk,
  );
  const checked = { database: rows, custody: files };
  refuseUnfit(checked);
  refuseIncomplete(
    checked,
    [...known].filter((tenant) => !without.includes(tenant)),
  );
  return checked;
}

/** Writes the custody's files to their places, which are empty; answers how far each log was signed. */
export async function restoreCustody(
  { custody, identities, newerState, talk }: ArchivesToRead,
  places: Places,
): Promise<ReturnType<typeof signedTrees>> {
  let signed: ReturnType<typeof signedTrees> = [];
  await openArchive(
    custody,
    identities,
    async ({ rest }) => {
      await eachFile(rest, async (archived) => {
        const file = joinedMemory(archived, newerState);
        writeCustodyFile(places, file);
        if (file.path === SIGNED) signed = signedTrees(file.bytes);
      });
    },
    talk,
  );
  return signed;
}

export interface DatabaseTarget {
  readonly superuserUrl: string;
  readonly passwords: Readonly<Record<string, string>>;
  readonly remembered: ReturnType<typeof signedTrees>;
  readonly onChecked: (trail: CheckedTrail) => void;
}

/** @throws VerificationFailed, DecryptFailed */
export async function restoreDatabase(
  { database, identities, talk }: ArchivesToRead,
  { superuserUrl, passwords, remembered, onChecked }: DatabaseTarget,
): Promise<readonly CheckedTrail[]> {
  return await openArchive(
    database,
    identities,
    async ({ context, first, rest }) => {
      const { migrations: applied, tables: shapes, logs } = headOf(databaseManifest, first);
      const taken = new Date(archiveName(context, 'database', database).taken);
      return await loadDatabase({
        ...{ superuserUrl, passwords, remembered, onChecked, migrations: MIGRATIONS, applied, shapes, logs, taken },
        tables: (load) => eachTable(rest, load),
      }).catch((error: unknown) => {
        throw error instanceof RestoreRefused ? new VerificationFailed(error.message, { cause: error }) : error;
      });
    },
    talk,
  );
}

/** Answers how many rows each table had when it was saved. */
async function eachTable(items: AsyncIterable<ReadItem>, load: (table: string, body: AsyncIterable<Uint8Array>) => Promise<void>) {
  for await (const item of items) {
    const end = tablesEnd.safeParse(item.head);
    if (end.success) return new Map(Object.entries(end.data.rows));
    await load(headOf(tableHead, item).table, item.body);
  }
  throw new UsageError('The archive of the database has no end.');
}

async function eachFile(items: AsyncIterable<ReadItem>, take: (file: CustodyFile) => Promise<void>): Promise<number> {
  let files = 0;
  for await (const item of items) {
    const end = filesEnd.safeParse(item.head);
    if (end.success && end.data.files === files) return files;
    await take({ path: headOf(fileHead, item).file, bytes: await buffer(Readable.from(item.body)) });
    files++;
  }
  throw new UsageError('The archive of the custody has no end.');
}

/** A root that is missing would be noticed by the first customer whose key does not open. */
function refuseUnfit({ database, custody }: CheckedArchives): void {
  if (!custody.manifest.hasToken) return;
  const had = new Map(custody.manifest.objects.map((row): [string, TenantObjects] => [row.tenant, row]));
  for (const { tenant, roots, endedLogKeys } of database.manifest.objects) {
    const there = had.get(tenant);
    const missing = roots.find((root) => there?.roots.includes(root) !== true);
    if (missing !== undefined || there!.endedLogKeys > endedLogKeys)
      throw new UsageError(
        `The archive of the custody (${custody.taken}) has not the keys that the rows of ${tenant} need, as of ${database.taken}: ` +
          `${missing === undefined ? 'a key of its log ended' : `root ${missing} is missing`}. Take one from nearer by.`,
      );
  }
}

/** A tenant that the rows leave out would be missed by nobody but itself. */
function refuseIncomplete({ database, custody }: CheckedArchives, known: readonly string[]): void {
  const { objects, logs = [] } = database.manifest;
  const there = new Set(['platform', ...[...objects, ...logs].map(({ tenant }) => tenant)]);
  const missing = known.filter((tenant) => !there.has(tenant));
  if (missing.length > 0)
    throw new UsageError(
      `Custody (${custody.taken}) knows ${missing.join(', ')}, of whom the archive of the database (${database.taken}) has nothing. ` +
        `Take a newer one of the database; or, if they were onboarded after that and are to be lost: --without ${missing[0]}`,
    );
}

async function drained(body: AsyncIterable<Uint8Array>): Promise<void> {
  for await (const piece of body) void piece;
}

const sum = (numbers: readonly number[]): number => numbers.reduce((total, number) => total + number, 0);
