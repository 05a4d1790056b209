import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { newCredentialId } from '#core';
import { OPERATION, PlaneSocket } from '#custody/socket';
import { z } from 'zod';
import { TestDatabase } from '../../libs/persistence/test-database.js';

const run = promisify(execFile);
const PROGRAM = join(process.cwd(), 'dist/apps/key-plane/bootstrap.js');
const written = z.object({ operator: z.object({ apiKey: z.string() }) });

describe('the bootstrap', () => {
  const folder = mkdtempSync(join(tmpdir(), 'kw-'));
  const file = join(folder, 'credentials.json');
  const custodian = new PlaneSocket({
    socketPath: join(folder, 'key/key.sock'),
    operations: new Map(([OPERATION.createLogKey, OPERATION.bindRule] as const).map((name) => [name, () => [randomBytes(32)]])),
    codeOf: () => 1,
  });
  let database: TestDatabase;

  beforeAll(async () => {
    if (!existsSync(PROGRAM)) throw new Error(`${PROGRAM} is missing: build first.`);
    writeFileSync(join(folder, 'pepper'), randomBytes(32), { mode: 0o600 });
    await custodian.listen();
    database = await TestDatabase.start();
  });
  afterAll(async () => {
    await custodian.close();
    await database?.stop();
    rmSync(folder, { recursive: true });
  });

  const bootstrap = () =>
    run(process.execPath, [PROGRAM], {
      env: {
        KEYWARD_DATABASE_URL: database.settings('keyward_key_plane').url,
        KEYWARD_SOCKET_DIR: folder,
        KEYWARD_PEPPER_FILE: join(folder, 'pepper'),
        KEYWARD_CREDENTIALS_FILE: file,
        KEYWARD_LOG_LEVEL: 'silent',
      },
    });
  const files = () => readdirSync(folder).filter((name) => name.startsWith('credentials'));
  const operators = () =>
    database.as('superuser', async (client) => {
      const { rows } = await client.query<{ credential_id: string }>('SELECT credential_id FROM keyward.credential');
      return rows.map((row) => row.credential_id);
    });

  it('makes one operator and one file when two run at once', async () => {
    await Promise.all([bootstrap(), bootstrap()]);
    expect(files()).toEqual(['credentials.json']);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    const { operator } = written.parse(JSON.parse(readFileSync(file, 'utf8')));
    const ids = await operators();
    expect(ids).toHaveLength(1);
    expect(operator.apiKey).toContain(ids[0]?.slice('crd_'.length));
  });

  it('changes nothing when it runs again', async () => {
    const [before, ids] = [readFileSync(file, 'utf8'), await operators()];
    await bootstrap();
    expect([readFileSync(file, 'utf8'), await operators(), files()]).toEqual([before, ids, ['credentials.json']]);
  });

  it('gives the file its name when an earlier run crashed after the commit, and to nothing else', async () => {
    const [before, ids] = [readFileSync(file, 'utf8'), await operators()];
    const uncommitted = `${file}.${newCredentialId(Date.now())}`;
    renameSync(file, `${file}.${ids[0]}`);
    writeFileSync(uncommitted, 'opens nothing');
    await bootstrap();
    expect(readFileSync(file, 'utf8')).toBe(before);
    expect(existsSync(uncommitted)).toBe(true);
  });
});
