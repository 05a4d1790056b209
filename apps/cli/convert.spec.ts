import { randomBytes } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough, Readable, Writable } from 'node:stream';
import { buffer, text } from 'node:stream/consumers';
import { FakeDataPlane } from '../../libs/sdk/test/fake-data-plane.js';
import { loadConfig } from '#runtime';
import { runCli } from './program.js';
import { progressLine } from './progress.js';
import type { Terminal } from './terminal.js';

const API_KEY = `kw_platform_01m852602rfg9ttm5sf4d3fhxa_${'S'.repeat(43)}`;
const SIZE = 3_000_000;
const KEY = ['--tenant', 'acme', '--key', 'alias/invoices'];
const CONTEXT = ['--context', 'purpose=invoice'];

describe('encrypt and decrypt, of any size', () => {
  const folder = mkdtempSync(join(tmpdir(), 'keyward-convert-'));
  const plaintext = randomBytes(SIZE);
  const file = (name: string) => join(folder, name);
  let fake: FakeDataPlane;
  beforeAll(async () => {
    fake = await FakeDataPlane.start();
    const profile = {
      tenant: 'platform',
      principal: 'billing',
      role: 'service',
      credentialId: 'crd_x',
      expiresAt: '2026-03-01T12:00:00.000Z',
    };
    writeFileSync(file('billing.json'), JSON.stringify({ ...profile, apiKey: API_KEY, dataPlane: fake.url }), { mode: 0o600 });
    writeFileSync(file('plain'), plaintext);
    expect(await keyward(['encrypt', file('plain'), file('sealed'), ...KEY, ...CONTEXT])).toMatchObject({ exit: 0, talk: '' });
  });
  afterEach(() => (fake.script = () => undefined));
  afterAll(async () => {
    await fake.close();
    rmSync(folder, { recursive: true });
  });

  async function keyward(line: string[], { stdin = Buffer.alloc(0), isTTY = false } = {}) {
    const chunks = Array.from({ length: Math.ceil(stdin.length / 65_536) }, (_, i) => stdin.subarray(i * 65_536, (i + 1) * 65_536));
    const terminal = { in: Readable.from(chunks), out: new PassThrough(), talk: Object.assign(new PassThrough(), { isTTY }) };
    const out = buffer(terminal.out);
    const exit = await runCli(line, terminal, () => ({ ...loadConfig('cli'), credentialsFile: file('billing.json') }));
    terminal.out.end();
    terminal.talk.end();
    return { exit, out: await out, talk: await text(terminal.talk) };
  }

  it('go from file to file, for the owner alone, and say how much', async () => {
    const { exit, out } = await keyward(['decrypt', file('sealed'), file('again'), '--tenant', 'acme', ...CONTEXT, '--json']);
    expect(exit).toBe(0);
    expect(readFileSync(file('again')).equals(plaintext)).toBe(true);
    expect(statSync(file('again')).mode & 0o777).toBe(0o600);
    expect(JSON.parse(out.toString())).toEqual({
      ...{ from: file('sealed'), to: file('again') },
      ...{ bytesIn: statSync(file('sealed')).size, bytesOut: SIZE },
    });
  });

  it('go from stdin to stdout', async () => {
    const sealed = await keyward(['encrypt', '-', '-', ...KEY], { stdin: plaintext });
    expect(sealed.exit).toBe(0);
    const opened = await keyward(['decrypt', '-', '-', '--tenant', 'acme'], { stdin: sealed.out });
    expect(opened.exit).toBe(0);
    expect(opened.out.equals(plaintext)).toBe(true);
  });

  it('are signed when they shall be, and what is not is refused when it must', async () => {
    const opens = (name: string, ...more: string[]) => keyward(['decrypt', file(name), '-', '--tenant', 'acme', ...CONTEXT, ...more]);
    expect(await keyward(['encrypt', file('plain'), file('signed'), ...KEY, ...CONTEXT, '--signed'])).toMatchObject({ exit: 0 });
    for (const more of [[], ['--signed']]) expect((await opens('signed', ...more)).out.equals(plaintext)).toBe(true);
    expect(await opens('sealed', '--signed')).toMatchObject({ exit: 6 });
  });

  it('move to another key and context', async () => {
    const line = ['re-encrypt', file('sealed'), file('moved'), '--tenant', 'acme', '--to-key', 'alias/archive'];
    expect(await keyward([...line, '--from-context', 'purpose=invoice', '--to-context', 'purpose=archive'])).toMatchObject({ exit: 0 });
    expect(await keyward(['decrypt', file('moved'), '-', '--tenant', 'acme', ...CONTEXT])).toMatchObject({ exit: 6 });
    const opened = await keyward(['decrypt', file('moved'), '-', '--tenant', 'acme', '--context', 'purpose=archive']);
    expect(opened.out.equals(plaintext)).toBe(true);
  });

  it('leave no file of a message that was cut or changed, and end with 6', async () => {
    const sealed = readFileSync(file('sealed'));
    const changed = Buffer.from(sealed);
    changed[changed.length - 1]! ^= 1;
    const spoilt = { cut: sealed.subarray(0, -1), changed, 'cut after a frame': sealed.subarray(0, 1_500_000), empty: Buffer.alloc(0) };
    for (const [name, bytes] of Object.entries(spoilt)) {
      writeFileSync(file('spoilt'), bytes);
      const { exit } = await keyward(['decrypt', file('spoilt'), file('never'), '--tenant', 'acme', ...CONTEXT]);
      expect([name, exit]).toEqual([name, 6]);
      expect(readdirSync(folder).filter((one) => one.startsWith('never'))).toEqual([]);
    }
    const { exit, out } = await keyward(['decrypt', '-', '-', '--tenant', 'acme', ...CONTEXT], { stdin: spoilt.cut });
    expect(exit).toBe(6);
    expect(out.length).toBeLessThan(SIZE);
  });

  it.each([
    [3, 'not-granted', 403],
    [4, 'key-destroyed', 410],
  ] as const)('end with %d when Keyward says %s', async (wanted, code, status) => {
    fake.script = (_asked, response) => fake.problem(response, code, status);
    expect(await keyward(['encrypt', file('plain'), file('never'), ...KEY])).toMatchObject({ exit: wanted });
    expect(readdirSync(folder).filter((one) => one.startsWith('never'))).toEqual([]);
  });

  it.each([
    [['encrypt', 'plain']],
    [['encrypt', 'nowhere', 'never']],
    [['encrypt', 'plain', 'sealed']],
    [['encrypt', 'plain', 'never', '--dry-run']],
    [['encrypt', '--signed']],
  ])('end with 2 for %j', async ([name, ...names]) => {
    expect(await keyward([name!, ...names.map((one) => (one.startsWith('-') ? one : file(one))), ...KEY])).toMatchObject({ exit: 2 });
  });

  /** Of a run that waits for more of its stdin. */
  async function underWay(line: string[], meanwhile: () => void, out: Writable = new PassThrough().resume()) {
    const stdin = new PassThrough();
    const terminal = { in: stdin, out, talk: new PassThrough() };
    const running = runCli(line, terminal, () => ({ ...loadConfig('cli'), credentialsFile: file('billing.json') }));
    stdin.write(Buffer.alloc(100_000));
    await new Promise((passed) => setTimeout(passed, 100));
    meanwhile();
    stdin.end();
    return await running;
  }
  const begunWith = (name: string) => readdirSync(folder).filter((one) => one.startsWith(name));

  it('take nothing from whoever has written the file meanwhile', async () => {
    expect(await underWay(['encrypt', '-', file('late'), ...KEY], () => writeFileSync(file('late'), 'theirs'))).toBe(2);
    expect(begunWith('late')).toEqual(['late']);
    expect(readFileSync(file('late'), 'utf8')).toBe('theirs');
  });

  it('remove no file that they have not made', async () => {
    const half = `aside.half-${process.pid}`;
    writeFileSync(file(half), 'theirs');
    expect(await keyward(['encrypt', file('plain'), file('aside'), ...KEY])).toMatchObject({ exit: 1 });
    expect(begunWith('aside')).toEqual([half]);
    expect(readFileSync(file(half), 'utf8')).toBe('theirs');
  });

  it.each(['SIGINT', 'SIGTERM', 'SIGHUP'] as const)('leave nothing after %s', async (signal) => {
    expect(await underWay(['encrypt', '-', file('stopped'), ...KEY], () => void process.emit(signal))).toBe(1);
    expect(begunWith('stopped')).toEqual([]);
  });

  it('fail when their reader leaves: it has not got all', async () => {
    let written = 0;
    const out = new Writable({
      write: (chunk: Buffer, _encoding, done) =>
        done((written += chunk.length) > 1_500_000 ? Object.assign(new Error('write EPIPE'), { code: 'EPIPE' }) : null),
    }).on('error', () => undefined);
    const terminal: Terminal = { in: Readable.from([]), out, talk: new PassThrough() };
    const line = ['decrypt', file('sealed'), '-', '--tenant', 'acme', ...CONTEXT];
    const exit = await runCli(line, terminal, () => ({ ...loadConfig('cli'), credentialsFile: file('billing.json') }));
    expect([exit, terminal.cutIsFailure]).toEqual([1, true]);
  });

  it('show a bar on a terminal, and take it away', async () => {
    const slow = Readable.from(
      (async function* () {
        for (let i = 0; i < 5; i++) {
          await new Promise((passed) => setTimeout(passed, 110));
          yield Buffer.alloc(1_000_000);
        }
      })(),
    );
    const terminal = { in: slow, out: new PassThrough().resume(), talk: Object.assign(new PassThrough(), { isTTY: true }) };
    await runCli(['encrypt', '-', '-', ...KEY], terminal, () => ({ ...loadConfig('cli'), credentialsFile: file('billing.json') }));
    terminal.talk.end();
    const talk = await text(terminal.talk);
    expect(talk).toMatch(/\d MB, \d+ MB\/s/);
    expect(talk.endsWith('\r\x1b[K')).toBe(true);
    expect((await keyward(['encrypt', '-', '-', ...KEY], { stdin: plaintext })).talk).toBe('');
    expect(progressLine(64 * 1024 * 1024, 256 * 1024 * 1024, 500)).toBe('[######                  ]  25 %  64 MB, 128 MB/s');
  });
});
