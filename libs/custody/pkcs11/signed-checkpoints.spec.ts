import { appendFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { open as openFile } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CheckpointRefused } from '../checkpoint-refused.js';
import { SignedCheckpoints } from './signed-checkpoints.js';

const root = (byte: number) => Buffer.alloc(32, byte);

describe('the signed checkpoints on disk', () => {
  let folder: string;
  let file: string;
  let open: SignedCheckpoints;
  const reopen = async () => {
    await open.close();
    open = await SignedCheckpoints.open(folder);
  };

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'kw-'));
    file = join(folder, 'signed-checkpoints.jsonl');
    open = await SignedCheckpoints.open(folder);
  });
  afterEach(async () => {
    await open.close();
    rmSync(folder, { recursive: true });
  });

  it('are there before a claim resolves', async () => {
    await open.claim('acme/log_1', 'o', 5n, root(5));
    expect(readFileSync(file, 'utf8')).toContain('"size":"5"');
  });

  it.each([
    ['a smaller tree', 'o', 4n, 4],
    ['another root', 'o', 5n, 6],
    ['another origin', 'p', 6n, 6],
  ])('are remembered over a restart: %s is refused', async (_what, origin, size, byte) => {
    await open.claim('acme/log_1', 'o', 5n, root(5));
    await reopen();
    await expect(open.claim('acme/log_1', origin, size, root(byte))).rejects.toThrow(CheckpointRefused);
    await expect(open.claim('acme/log_2', `${origin}2`, size, root(byte))).resolves.toBeUndefined();
  });

  it('are compared among claims that wait for the disk', async () => {
    const claims = [open.claim('l', 'o', 5n, root(5)), open.claim('l', 'o', 5n, root(6)), open.claim('l', 'o', 6n, root(6))];
    expect((await Promise.allSettled(claims)).map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
  });

  it('give no log the origin of another: the same key would sign two trees under one name', async () => {
    await open.claim('acme/log_1', 'o', 5n, root(5));
    await reopen();
    await expect(open.claim('acme/log_2', 'o', 4n, root(4))).rejects.toThrow(CheckpointRefused);
  });

  it('do not grow without end', async () => {
    for (let size = 1; size <= 500; size++) await open.claim('l', 'o', BigInt(size), root(1));
    expect(readFileSync(file, 'utf8').split('\n').length).toBeLessThan(70);
    await reopen();
    await expect(open.claim('l', 'o', 499n, root(1))).rejects.toThrow(CheckpointRefused);
  });

  it('are all there after claims that came while the file was written anew', async () => {
    const claims = Array.from({ length: 1000 }, async (_, size) => {
      if (size % 7 === 0) await new Promise((resolve) => setImmediate(resolve));
      await open.claim(`l${size}`, `o${size}`, 1n, root(1));
      await open.claim(`l${size}`, `o${size}`, 2n, root(2));
    });
    await Promise.all(claims);
    await reopen();
    const attempts = await Promise.allSettled(claims.map((_, size) => open.claim(`l${size}`, `o${size}`, 1n, root(1))));
    expect(attempts.filter(({ status }) => status === 'fulfilled')).toEqual([]);
  });

  it('outlive a full disk that took half a line', async () => {
    await open.claim('l', 'o', 5n, root(5));
    const full = await onFullDisk(() => open.claim('l', 'o', 6n, root(6)).catch((error: unknown) => error));
    expect(full).toMatchObject({ code: 'ENOSPC' });
    await open.claim('l', 'o', 7n, root(7));
    await reopen();
    await expect(open.claim('l', 'o', 6n, root(6))).rejects.toThrow(CheckpointRefused);
  });

  it('are compacted at start', async () => {
    for (let size = 1; size <= 50; size++) await open.claim('l', 'o', BigInt(size), root(size));
    await reopen();
    expect(readFileSync(file, 'utf8').split('\n').length).toBe(2);
  });

  it('survive a line that a crash cut off', async () => {
    await open.claim('l', 'o', 5n, root(5));
    appendFileSync(file, '{"log":"l","origin":"o","size":"9');
    await reopen();
    await expect(open.claim('l', 'o', 6n, root(6))).resolves.toBeUndefined();
  });

  it.each(['{"log":"l"}\n', 'garbage\n', `{"log":"l","origin":"o","size":"1","root":"${'00'.repeat(32)}"}\n`])(
    'refuse to open after somebody wrote %j',
    async (line) => {
      await open.claim('l', 'o', 5n, root(5));
      appendFileSync(file, line);
      await expect(SignedCheckpoints.open(folder)).rejects.toThrow();
    },
  );
});

/** Every append writes half of what it should, and fails. */
async function onFullDisk<Answer>(work: () => Promise<Answer>): Promise<Answer> {
  const some = await openFile('/dev/null');
  const appending = jest.spyOn(Object.getPrototypeOf(some) as FileHandle, 'appendFile').mockImplementation(async function (
    this: FileHandle,
    text,
  ) {
    const whole = typeof text === 'string' ? text : '';
    await this.write(whole.slice(0, whole.length / 2));
    throw Object.assign(new Error('no space'), { code: 'ENOSPC' });
  });
  try {
    return await work();
  } finally {
    appending.mockRestore();
    await some.close();
  }
}
