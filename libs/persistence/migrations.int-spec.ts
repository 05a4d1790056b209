import { MIGRATIONS } from '../../migrations/index.js';
import { migrating, provision } from './provision/provision.js';
import { SCHEMA_VERSION } from './startup.js';
import { TestDatabase } from './test-database.js';

describe('migrations', () => {
  let database: TestDatabase;
  beforeAll(async () => {
    database = await TestDatabase.start();
  });
  afterAll(() => database.stop());

  const schema = async () => {
    const { rows } = await database.as('superuser', (client) =>
      client.query(`
        SELECT 'table' AS kind, relname AS name, relacl::text AS detail FROM pg_class WHERE relnamespace = 'keyward'::regnamespace
        UNION ALL SELECT 'function', proname, md5(prosrc) || proacl::text || proowner::regrole FROM pg_proc WHERE pronamespace = 'keyward'::regnamespace
        UNION ALL SELECT 'trigger', tgname || tgrelid::regclass, pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal
        UNION ALL SELECT 'policy', polname || polrelid::regclass, polroles::regrole[]::text FROM pg_policy ORDER BY 1, 2, 3`),
    );
    return rows;
  };

  it('come in the order of their numbers, up to the one that the code asks for', () => {
    const numbers = MIGRATIONS.map((migration) => Number(/\d{13}$/.exec(new migration().name)?.[0]));
    expect(numbers).toEqual([...new Set(numbers)].sort((a, b) => a - b));
    expect(numbers.at(-1)).toBe(SCHEMA_VERSION);
  });

  it('may be applied again without a change', async () => {
    const before = await schema();
    await provision({
      superuserUrl: database.server.superuserUrl(),
      passwords: { keyward_worker: 'another-password' },
      migrations: MIGRATIONS,
    });
    expect(await schema()).toEqual(before);
  });

  it('go down one by one to nothing, and up again to the same schema', async () => {
    const before = await schema();
    await migrating(database.superuserUrl, MIGRATIONS, async (source) => {
      for (let i = 0; i < MIGRATIONS.length; i++) await source.undoLastMigration({ transaction: 'each' });
    });
    expect((await schema()).filter(({ kind, name }) => kind !== 'table' || !/schema_migration|^PK_/.test(name))).toEqual([]);
    await migrating(database.superuserUrl, MIGRATIONS, async (source) => {
      await source.runMigrations({ transaction: 'each' });
    });
    expect(await schema()).toEqual(before);
  });
});
