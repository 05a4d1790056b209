import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Client } from 'pg';
import { openDataDir, removeDataDir } from './data-dir.js';
import { EmbeddedPostgres } from './postgres.js';

const run = promisify(execFile);

async function query(url: string, sql: string): Promise<unknown[]> {
  const client = new Client({ connectionString: url });
  client.on('error', () => undefined);
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(sql)).rows;
  } finally {
    await client.end();
  }
}

describe('embedded PostgreSQL', () => {
  const path = mkdtempSync(join(tmpdir(), 'keyward-pg-'));
  const dataDir = openDataDir(path);
  let server: EmbeddedPostgres;

  beforeAll(async () => {
    server = await EmbeddedPostgres.start({ dataDir });
  });

  afterAll(async () => {
    await server.stop('immediate');
    removeDataDir(path);
  });

  it('runs durably, with checksums', async () => {
    const rows = await query(
      server.superuserUrl(),
      `select name, setting from pg_settings where name in ('fsync','full_page_writes','synchronous_commit','wal_level','data_checksums') order by 1`,
    );
    expect(rows).toEqual([
      { name: 'data_checksums', setting: 'on' },
      { name: 'fsync', setting: 'on' },
      { name: 'full_page_writes', setting: 'on' },
      { name: 'synchronous_commit', setting: 'on' },
      { name: 'wal_level', setting: 'replica' },
    ]);
  });

  it('lets nobody in without the password, not even the superuser', async () => {
    await expect(query(`postgres://postgres:wrong@127.0.0.1:${server.port}/postgres`, 'select 1')).rejects.toMatchObject({ code: '28P01' });
  });

  it('keeps the password in a file for its owner only', () => {
    expect(statSync(dataDir.file('superuser-password')).mode & 0o777).toBe(0o600);
    expect(existsSync(dataDir.file('initdb-password'))).toBe(false);
  });

  it('does not repeat values of failing statements in its log', async () => {
    await expect(query(server.superuserUrl(), `select 'canary-4711'::int`)).rejects.toMatchObject({ code: '22P02' });
    await expect(
      query(server.superuserUrl(), `do $$ begin raise exception using message = 'x', detail = 'canary-4712'; end $$`),
    ).rejects.toThrow();
    expect(readFileSync(join(dataDir.logs, 'postgres.log'), 'utf8')).not.toContain('canary-4712');
  });

  it('keeps what was committed over a kill -9 and comes back by itself', async () => {
    await query(server.superuserUrl(), 'create table kept as select 7 as n');
    const before = server.pid;
    server.kill('SIGKILL');
    await comesBack(server, before);
    expect(await query(server.superuserUrl(), 'select n from kept')).toEqual([{ n: 7 }]);
  });

  it('restarts on the same port', async () => {
    const { port } = server;
    await server.restart();
    expect(server.port).toBe(port);
    expect(await query(server.superuserUrl(), 'select 1 as one')).toEqual([{ one: 1 }]);
  });

  it('takes over the data directory of a starter that was killed', async () => {
    const orphan = server.pid;
    // A second starter of the same directory, as after a kill -9 of the first: nobody told the old server to stop.
    Object.assign(server, { wanted: false });
    server = await EmbeddedPostgres.start({ dataDir });
    expect(server.pid).not.toBe(orphan);
    expect(await query(server.superuserUrl(), 'select n from kept')).toEqual([{ n: 7 }]);
  });

  it('leaves no core dumps behind: they would hold keys', async () => {
    const { stdout } = await run('sh', ['-c', `grep 'Max core file size' /proc/${server.pid}/limits || echo 'Max core file size 0 0'`]);
    expect(stdout).toMatch(/size\s+0\s+0/);
  });
});

async function comesBack(server: EmbeddedPostgres, before: number | undefined): Promise<void> {
  for (const deadline = Date.now() + 20_000; Date.now() < deadline; ) {
    if (server.pid !== before && (await query(server.superuserUrl(), 'select 1').then(Boolean, () => false))) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error('The server did not come back.');
}
