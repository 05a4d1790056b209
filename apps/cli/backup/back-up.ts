import { randomUUID } from 'node:crypto';
import type { Writable } from 'node:stream';
import { asBackupSuperuser, DatabaseSnapshot, inDatabase, tenantObjects } from '#persistence/backup';
import { type Recipient, sealArchive } from './archive.js';
import { type CustodyFile, readMemory, readToken } from './custody-files.js';
import type { Item } from './items.js';
import { type ArchiveKind, contextOf } from './manifest.js';
import type { Places } from './places.js';

export interface Target {
  readonly file: string;
  /** One or two. */
  readonly recipients: readonly Recipient[];
}
export interface BackupOrder {
  /** To any database of the server. */
  readonly superuserUrl: string;
  readonly places: Places;
  readonly database: Target | undefined;
  readonly custody: Target | undefined;
  readonly talk: Writable;
}
export interface WrittenArchive {
  readonly kind: ArchiveKind;
  readonly file: string;
  readonly taken: string;
  readonly bytes: number;
  readonly sha256: string;
}

const TRIES = 20;

/**
 * Writes the archives of one instant. The custodian's memory is read first, so that no log in it is longer than in the rows; then the rows'
 * instant is fixed; then the token is read, which so has every object that the rows name, unless one ended meanwhile: then all begins anew.
 */
export async function backUp({ superuserUrl, places, database, custody, talk }: BackupOrder): Promise<readonly WrittenArchive[]> {
  const url = inDatabase(superuserUrl);
  return await asBackupSuperuser(url, async (client) => {
    const { memory, snapshot, token, taken } = await oneInstant(url, places, () => DatabaseSnapshot.take(client));
    const pair = randomUUID();
    const seal = async (kind: ArchiveKind, { file, recipients }: Target, items: AsyncIterable<Item>, expectedBytes?: number) => {
      const written = await sealArchive(file, recipients, contextOf({ kind, pair, taken }), items, { talk, expectedBytes });
      return { kind, file, taken, ...written };
    };
    const archives: WrittenArchive[] = [];
    if (custody !== undefined) archives.push(await seal('custody', custody, custodyItems(snapshot, [...memory, ...token], places)));
    if (database !== undefined) archives.push(await seal('database', database, databaseItems(snapshot), await snapshot.estimatedBytes()));
    await snapshot.end();
    return archives;
  });
}

async function oneInstant(url: string, places: Places, take: () => Promise<DatabaseSnapshot>) {
  for (let tries = 1; ; tries++) {
    const memory = readMemory(places);
    const snapshot = await take();
    const taken = new Date().toISOString();
    const token = places.token === undefined ? [] : await readToken(places.token);
    const now = new Map((await asBackupSuperuser(url, tenantObjects)).map((row) => [row.tenant, JSON.stringify(row)]));
    if (snapshot.objects.every((row) => now.get(row.tenant) === JSON.stringify(row))) return { memory, snapshot, token, taken };
    await snapshot.end();
    if (tries === TRIES)
      throw new Error('Roots are being rotated all the time: try again when the rotations are over (keyward root describe).');
  }
}

async function* custodyItems({ objects }: DatabaseSnapshot, files: readonly CustodyFile[], { token }: Places): AsyncGenerator<Item> {
  yield { head: { objects, hasToken: token !== undefined }, body: [] };
  for (const { path, bytes } of files) yield { head: { file: path }, body: [bytes] };
  yield { head: { files: files.length }, body: [] };
}

async function* databaseItems(snapshot: DatabaseSnapshot): AsyncGenerator<Item> {
  const { objects, logs, migrations, tables } = snapshot;
  yield { head: { objects, logs, migrations, tables }, body: [] };
  const rows: Record<string, number> = {};
  for (const shape of tables) {
    const copy = snapshot.copy(shape);
    yield { head: { table: shape.table }, body: copy };
    rows[shape.table] = copy.rows;
  }
  yield { head: { rows }, body: [] };
}
