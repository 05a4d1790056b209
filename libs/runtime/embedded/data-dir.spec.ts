import { existsSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runsAsRoot } from './as-user.js';
import { makeFolder, openDataDir, othersCanEnter, removeDataDir } from './data-dir.js';

const modeOf = (path: string) => statSync(path).mode & 0o777;

describe('a data directory', () => {
  const above = mkdtempSync(join(tmpdir(), 'keyward-dir-'));
  makeFolder(above, 0o755);
  afterAll(() => rmSync(above, { recursive: true }));

  it('keeps its folders for the owner, with a socket folder for each plane', () => {
    const dataDir = openDataDir(join(above, 'one'));
    expect([dataDir.hsm, dataDir.logs, dataDir.custodian, dataDir.sockets].map(modeOf)).toEqual([0o700, 0o700, 0o700, 0o700]);
    expect(['key', 'data', 'worker'].map((plane) => modeOf(join(dataDir.sockets, plane)))).toEqual([0o700, 0o700, 0o700]);
    expect(modeOf(dataDir.root)).toBe(runsAsRoot ? 0o711 : 0o700);
  });

  it('puts the sockets elsewhere when its path is too long for them, and removes them with itself', () => {
    const long = join(above, 'x'.repeat(90));
    const dataDir = openDataDir(long);
    expect(Buffer.byteLength(join(dataDir.sockets, 'worker', 'worker.sock'))).toBeLessThan(104);
    expect(openDataDir(long).sockets).toBe(dataDir.sockets);
    removeDataDir(long);
    expect(existsSync(dataDir.sockets)).toBe(false);
  });

  it('knows whether others can get there', () => {
    const closed = makeFolder(join(above, 'closed'), 0o700);
    const inside = makeFolder(join(closed, 'inside'), 0o755);
    expect(othersCanEnter(above)).toBe(true);
    expect(othersCanEnter(inside)).toBe(false);
  });

  (runsAsRoot ? it : it.skip)('is refused to root where the system user of PostgreSQL could not enter', () => {
    const closed = makeFolder(join(above, 'closed'), 0o700);
    expect(() => openDataDir(join(closed, 'platform'))).toThrow(/KEYWARD_DATA_DIR/);
  });
});
