import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { lockDataDir } from './starter-lock.js';

describe('the lock of a data directory', () => {
  const folder = mkdtempSync(join(tmpdir(), 'keyward-lock-'));
  const file = join(folder, 'starter.lock');
  afterAll(() => rmSync(folder, { recursive: true }));

  it('lets one starter in at a time', () => {
    const release = lockDataDir(file);
    expect(() => lockDataDir(file)).toThrow(/already runs a platform/);
    release();
    expect(existsSync(file)).toBe(false);
    lockDataDir(file)();
  });

  it.each([
    ['a dead process', '2147483646'],
    ['a process that has taken over the process id', '1'],
    ['an earlier process with our own id', String(process.pid)],
    ['half a line', ''],
  ])('is not kept by %s', (_, holder) => {
    writeFileSync(file, holder);
    lockDataDir(file)();
    expect(existsSync(file)).toBe(false);
  });
});
