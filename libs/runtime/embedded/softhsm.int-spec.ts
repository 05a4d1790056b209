import { existsSync, mkdtempSync, readFileSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openDataDir, removeDataDir } from './data-dir.js';
import { prepareSoftHsm } from './softhsm.js';
import { downloadSoftHsm } from './softhsm-download.js';

describe('embedded SoftHSM', () => {
  const path = mkdtempSync(join(tmpdir(), 'keyward-hsm-'));
  afterAll(() => removeDataDir(path));

  it('finds a library, installed or fetched, and writes a configuration for it', async () => {
    const settings = await prepareSoftHsm({ dataDir: openDataDir(path) });
    expect(existsSync(settings.module)).toBe(true);
    expect(readFileSync(settings.configFile, 'utf8')).toContain('slots.mechanisms = CKM_AES_KEY_GEN,CKM_AES_GCM,');
  });

  it('keeps its PINs, one different from the other, in files for their owner only', async () => {
    const first = await prepareSoftHsm({ dataDir: openDataDir(path) });
    const pin = readFileSync(first.pinFile, 'utf8');
    expect(pin).not.toBe(readFileSync(first.soPinFile, 'utf8'));
    expect(statSync(first.pinFile).mode & 0o777).toBe(0o600);
    const second = await prepareSoftHsm({ dataDir: openDataDir(path) });
    expect(readFileSync(second.pinFile, 'utf8')).toBe(pin);
  });

  it('fetches once', async () => {
    if (!existsSync('/usr/bin/apt-get')) return;
    const module = await downloadSoftHsm();
    const started = performance.now();
    expect(await downloadSoftHsm()).toBe(module);
    expect(performance.now() - started).toBeLessThan(500);
  });
});
