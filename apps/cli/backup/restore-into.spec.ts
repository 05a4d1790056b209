import { generateKeyPairSync } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { UsageError } from '../exit-codes.js';
import { sealArchive } from './archive.js';
import { contextOf } from './manifest.js';
import { placesIn } from './places.js';
import { restoreInto } from './restore-into.js';

describe('a restore into places of your own', () => {
  const folder = mkdtempSync(join(tmpdir(), 'kw-restore-'));
  afterAll(() => rmSync(folder, { recursive: true }));
  const talk = () => new PassThrough().resume();

  it('that fails while it writes leaves nothing, so that it can be tried again', async () => {
    const { publicKey, privateKey } = generateKeyPairSync('x25519');
    const custody = join(folder, 'custody.kwb');
    await sealArchive(
      custody,
      [new Uint8Array(publicKey.export({ type: 'spki', format: 'der' }))],
      contextOf({ kind: 'custody', pair: 'p', taken: 't' }),
      (async function* () {
        yield { head: { objects: [], hasToken: false }, body: [] };
        for (const file of ['pepper', 'state/tombstones.jsonl', 'state/signed-checkpoints.jsonl'])
          yield { head: { file }, body: [Buffer.from('\n')] };
      })(),
      { talk: talk(), expectedBytes: undefined },
    );
    // The memory that is said to have outlived it has one file of two.
    const newerState = join(folder, 'newer');
    mkdirSync(newerState);
    writeFileSync(join(newerState, 'tombstones.jsonl'), '\n');
    const passwordsFile = join(folder, 'passwords.json');
    writeFileSync(passwordsFile, '{}');
    const places = placesIn(join(folder, 'platform'));
    const restore = () =>
      restoreInto(
        { database: 'unread', custody, identities: [privateKey], newerState, without: [], talk: talk() },
        {
          ...{ dataDir: 'unused', places, pin: undefined, firstCredential: undefined, onChecked: () => undefined },
          config: { superuserUrl: 'postgres://postgres@127.0.0.1:1/postgres', passwordsFile },
        },
      );
    for (let tries = 0; tries < 2; tries++) await expect(restore()).rejects.toThrow('signed-checkpoints.jsonl is missing');
    await expect(restore()).rejects.toThrow(UsageError);
    expect([existsSync(places.pepper), readdirSync(places.state)]).toEqual([false, []]);
  });
});
