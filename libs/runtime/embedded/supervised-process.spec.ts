import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isAlive, sleep } from './spawn.js';
import { SupervisedProcess } from './supervised-process.js';

const SERVER = `
const fs = require('node:fs');
fs.writeFileSync('ready', String(process.pid));
process.on('SIGTERM', () => { fs.writeFileSync('drained', ''); process.exit(0); });
setInterval(() => {}, 1000);`;

describe('a supervised process', () => {
  const cwd = mkdtempSync(join(tmpdir(), 'keyward-sup-'));
  const at = (name: string) => join(cwd, name);
  let supervised: SupervisedProcess;

  function supervise(source: string): SupervisedProcess {
    rmSync(at('ready'), { force: true });
    writeFileSync(at('program.cjs'), source);
    const isReady = () => Promise.resolve(existsSync(at('ready')));
    return new SupervisedProcess({
      name: 'program',
      program: at('program.cjs'),
      env: { PATH: '/usr/bin:/bin' },
      cwd,
      logFile: at('log'),
      isReady,
    });
  }

  afterEach(() => supervised.stop());
  afterAll(() => rmSync(cwd, { recursive: true }));

  it('is started again when it dies', async () => {
    supervised = supervise(SERVER);
    await supervised.start();
    const before = supervised.pid;
    rmSync(at('ready'));
    supervised.kill('SIGKILL');
    await supervised.ready();
    expect(supervised.pid).not.toBe(before);
  });

  it('drains on stop and stays down', async () => {
    supervised = supervise(SERVER);
    await supervised.start();
    await supervised.stop();
    expect(existsSync(at('drained'))).toBe(true);
    expect(supervised.pid).toBeUndefined();
  });

  it('takes the place of one that a killed starter left behind', async () => {
    supervised = supervise(SERVER);
    await supervised.start();
    const orphan = supervised.pid;
    Object.assign(supervised, { wanted: false });
    supervised = supervise(SERVER);
    await supervised.start();
    expect(supervised.pid).not.toBe(orphan);
    // The signal is sent; how long a busy machine takes to carry it out is its own affair.
    while (isAlive(orphan ?? 0)) await sleep(10);
  });

  it('is not started again when it says that this would do harm', async () => {
    supervised = supervise(`require('node:fs').appendFileSync('starts', 'x'); console.log('out of order'); process.exit(78);`);
    await expect(supervised.start()).rejects.toThrow(/program does not become ready; see .*log, which ends:\nout of order/);
    expect(existsSync(at('starts'))).toBe(true);
  });

  it('gives up on a program that cannot start, and names its log', async () => {
    supervised = supervise(`throw new Error('broken');`);
    await expect(supervised.start()).rejects.toThrow(/program does not become ready/);
  });
});
