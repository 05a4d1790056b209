import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MIGRATIONS } from '../../../migrations/index.js';
import { openDataDir, removeDataDir } from '../../runtime/embedded/data-dir.js';
import { EmbeddedPostgres } from '../../runtime/embedded/postgres.js';
import { asBackupSuperuser } from '../backup/superuser.js';
import { inDatabase, provision } from './provision.js';
import { NewerSchema, upgradeDatabase } from './upgrade.js';

describe('an upgrade', () => {
  const path = mkdtempSync(join(tmpdir(), 'kw-upgrade-'));
  let server: EmbeddedPostgres;
  const url = () => server.superuserUrl();
  const newest = MIGRATIONS.slice(-2);
  const names = newest.map((made) => new made().name);
  const had = () =>
    asBackupSuperuser(inDatabase(url()), async (client) => {
      const { rows } = await client.query<{ name: string }>('SELECT name FROM keyward.schema_migration');
      return rows.map(({ name }) => name);
    });

  beforeAll(async () => {
    server = await EmbeddedPostgres.start({ dataDir: openDataDir(path) });
    await provision({ superuserUrl: url(), passwords: {}, migrations: MIGRATIONS.slice(0, -2) });
  }, 120_000);
  afterAll(async () => {
    await server?.stop('immediate');
    removeDataDir(path);
  });

  it('is tried without a trace, then done, and then there is nothing left to do', async () => {
    expect(await upgradeDatabase(url(), MIGRATIONS, true)).toMatchObject({ pending: names });
    expect(await had()).toHaveLength(MIGRATIONS.length - 2);
    expect(await upgradeDatabase(url(), MIGRATIONS, false)).toMatchObject({ pending: names });
    expect(await had()).toHaveLength(MIGRATIONS.length);
    expect(await upgradeDatabase(url(), MIGRATIONS, false)).toMatchObject({ pending: [] });
  });

  it('tells what would fail, and leaves everything as it was', async () => {
    class Broken {
      readonly name = 'Broken0000000009999';
      up = (runner: { query(sql: string): Promise<unknown> }) => runner.query('ALTER TABLE keyward.tenant DROP COLUMN nobody_has_this');
      down = async () => undefined;
    }
    await expect(upgradeDatabase(url(), [...MIGRATIONS, Broken], true)).rejects.toThrow('nobody_has_this');
    await expect(upgradeDatabase(url(), [...MIGRATIONS, Broken], false)).rejects.toThrow('nobody_has_this');
    expect(await had()).toHaveLength(MIGRATIONS.length);
  });

  it('is refused where the database is newer than the code', async () => {
    await expect(upgradeDatabase(url(), MIGRATIONS.slice(0, -1), true)).rejects.toThrow(NewerSchema);
  });
});
