import { appendFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { open as openFile } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CheckpointRefused } from '../checkpoint-refused.js';
import { verifyConsistency } from '#trail';
import { aTree } from '../../testing/claimed-tree.js';
import { SignedCheckpoints } from './signed-checkpoints.js';

describe('the signed checkpoints on disk', () => {
  let folder: string;
  let file: string;
  let open: SignedCheckpoints;
  const reopen = async () => {
    await open.close();
    open = await SignedCheckpoints.open(folder, verifyConsistency);
  };

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'kw-'));
    file = join(folder, 'signed-checkpoints.jsonl');
    open = await SignedCheckpoints.open(folder, verifyConsistency);
  });
  afterEach(async () => {
    await open.close();
    rmSync(folder, { recursive: true });
  });

  it('are there before a claim resolves', async () => {
    await open.claim('acme/log_1', 'o', aTree(5));
    expect(readFileSync(file, 'utf8')).toContain('"size":"5"');
  });

  it.each([
    ['a smaller tree', 'o', aTree(4)],
    ['another root', 'o', aTree(5, 5, 1)],
    ['another origin', 'p', aTree(6, 5)],
    ['a larger tree with another beginning', 'o', aTree(6, 5, 1)],
    ['a larger tree without a proof', 'o', { ...aTree(6, 5), proof: [] }],
    ['a larger tree with the proof from another size', 'o', aTree(6, 4)],
    ['a larger tree with a proof that is too long', 'o', { ...aTree(6, 5), proof: [...aTree(6, 5).proof, Buffer.alloc(32)] }],
  ])('are remembered over a restart: %s is refused', async (_what, origin, tree) => {
    await open.claim('acme/log_1', 'o', aTree(5));
    await reopen();
    await expect(open.claim('acme/log_1', origin, tree)).rejects.toThrow(CheckpointRefused);
    await expect(open.claim('acme/log_2', `${origin}2`, tree)).resolves.toBeUndefined();
  });

  it('are compared among claims that wait for the disk', async () => {
    const claims = [open.claim('l', 'o', aTree(5)), open.claim('l', 'o', aTree(5, 5, 1)), open.claim('l', 'o', aTree(6, 5))];
    expect((await Promise.allSettled(claims)).map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
  });

  it('give no log the origin of another: the same key would sign two trees under one name', async () => {
    await open.claim('acme/log_1', 'o', aTree(5));
    await reopen();
    await expect(open.claim('acme/log_2', 'o', aTree(4))).rejects.toThrow(CheckpointRefused);
  });

  it('do not grow without end', async () => {
    for (let size = 1; size <= 500; size++) await open.claim('l', 'o', aTree(size, size - 1));
    expect(readFileSync(file, 'utf8').split('\n').length).toBeLessThan(70);
    await reopen();
    await expect(open.claim('l', 'o', aTree(499))).rejects.toThrow(CheckpointRefused);
  });

  it('are all there after claims that came while the file was written anew', async () => {
    const claims = Array.from({ length: 1000 }, async (_, size) => {
      if (size % 7 === 0) await new Promise((resolve) => setImmediate(resolve));
      await open.claim(`l${size}`, `o${size}`, aTree(1));
      await open.claim(`l${size}`, `o${size}`, aTree(2, 1));
    });
    await Promise.all(claims);
    await reopen();
    const attempts = await Promise.allSettled(claims.map((_, size) => open.claim(`l${size}`, `o${size}`, aTree(1))));
    expect(attempts.filter(({ status }) => status === 'fulfilled')).toEqual([]);
  });

  it('outlive a full disk that took half a line', async () => {
    await open.claim('l', 'o', aTree(5));
    const full = await onFullDisk(() => open.claim('l', 'o', aTree(6, 5)).catch((error: unknown) => error));
    expect(full).toMatchObject({ code: 'ENOSPC' });
    await open.claim('l', 'o', aTree(7, Number(open.sizeOf('l'))));
    await reopen();
    await expect(open.claim('l', 'o', aTree(6))).rejects.toThrow(CheckpointRefused);
  });

  it('are compacted at start', async () => {
    for (let size = 1; size <= 50; size++) await open.claim('l', 'o', aTree(size, size - 1));
    await reopen();
    expect(readFileSync(file, 'utf8').split('\n').length).toBe(2);
  });

  it('survive a line that a crash cut off', async () => {
    await open.claim('l', 'o', aTree(5));
    appendFileSync(file, '{"log":"l","origin":"o","size":"9');
    await reopen();
    await expect(open.claim('l', 'o', aTree(6, 5))).resolves.toBeUndefined();
  });

  it.each(['{"log":"l"}\n', 'garbage\n', `{"log":"l","origin":"o","size":"1","root":"${'00'.repeat(32)}"}\n`])(
    'refuse to open after somebody wrote %j',
    async (line) => {
      await open.claim('l', 'o', aTree(5));
      appendFileSync(file, line);
      await expect(SignedCheckpoints.open(folder, verifyConsistency)).rejects.toThrow();
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
