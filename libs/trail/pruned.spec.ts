import type { BundleEntry } from './index.js';
import { encodeEntries, type FetchTile, tiledLog, verifyBundle, verifyLog } from './index.js';
import { bundleOf, checkpointOver, entryAt, LOG_VKEY, type SampleLog } from './test/sample-log.js';

const prunes = (seq: number, minIndex: number, outcome: 'succeeded' | 'refused' = 'succeeded'): BundleEntry =>
  entryAt(seq, { body: { op: 'PruneRecords', category: 'management', outcome, change: { minIndex } } });
const aLog = (last: BundleEntry): BundleEntry[] => [...Array.from({ length: 700 }, (_, seq) => entryAt(seq)), last];
const LOG = aLog(prunes(700, 512));

/** Its first so many records are gone. */
const pruned = (minIndex: number, log = LOG, checkpoint = checkpointOver(log)): SampleLog => ({
  checkpoint,
  checkpoints: [checkpointOver(log.slice(0, 100)), checkpointOver(log.slice(0, 600))],
  vkeys: [LOG_VKEY],
  pruned: Array.from({ length: minIndex / 256 }, (_, index) => hashes(log, index)),
  entries: log.slice(minIndex),
});
const hashes = (log: readonly BundleEntry[], index: number) =>
  new Uint8Array(Buffer.concat(log.slice(256 * index, 256 * index + 256).map(({ leafHash }) => leafHash)));
const verified = async (log: SampleLog, since?: string) => await verifyBundle(await bundleOf(log), { vkey: LOG_VKEY, since });

describe('a log whose first records were pruned', () => {
  it.each([256, 512])('stands, and says that records below %i are gone', async (minIndex) => {
    const report = await verified(pruned(minIndex), checkpointOver(LOG.slice(0, 300)));
    expect(report).toMatchObject({ status: 'verified', size: 701, prunedBefore: minIndex });
    expect(await verified(pruned(0))).not.toHaveProperty('prunedBefore');
  });

  describe('and that is read tile by tile', () => {
    /** Where these tiles of entries are not, as 0 and 1 of a copy that was begun after the pruning. */
    const without =
      (...gone: number[]): FetchTile =>
      async (path) => {
        const index = Number(/\/(\d{3})/.exec(path)![1]);
        const part = LOG.slice(256 * index, 256 * index + 256);
        if (path.startsWith('tile/0/')) return hashes(LOG, index);
        return gone.includes(index) ? undefined : encodeEntries(part.map(({ bytes }) => bytes));
      };
    const head = { checkpoint: checkpointOver(LOG), vkeys: [LOG_VKEY], checkpoints: [] };
    const read = (fetch: FetchTile, minIndex?: number) =>
      verifyLog(async () => tiledLog({ ...head, minIndex }, fetch), { vkey: LOG_VKEY, since: checkpointOver(LOG.slice(0, 300)) });

    it.each([
      ['from its beginning', [0, 1], [{ from: 0, to: 512 }]],
      ['in the middle, where whoever copied it paused meanwhile', [1], [{ from: 256, to: 512 }]],
      ['at its beginning, as copied before another pruning', [0], [{ from: 0, to: 256 }]],
    ])('stands, and says what was not seen %s', async (_, gone, unseen) => {
      expect(await read(without(...gone))).toMatchObject({ status: 'verified', unseen, prunedBefore: unseen[0]!.to });
    });

    it('asks for no entries that are said to be pruned, and says nothing of none', async () => {
      const asked: string[] = [];
      const fetch: FetchTile = (path) => (asked.push(path), without(0, 1)(path));
      expect(await read(fetch, 512)).toMatchObject({ unseen: [{ from: 0, to: 512 }] });
      expect(asked).toEqual(['tile/0/000', 'tile/0/001', 'tile/entries/002.p/189', 'tile/0/002.p/189']);
      expect(await read(without())).not.toHaveProperty('unseen');
    });

    it('is refused where a hash of what is gone is another, also behind a record that was changed', async () => {
      const fetch: FetchTile = async (path) => {
        const bytes = await without(1)(path);
        if (path === 'tile/0/001') bytes![7]! ^= 1;
        return bytes;
      };
      expect(await read(fetch)).toMatchObject({ status: 'failed', code: 'root-mismatch' });
      const changed: FetchTile = async (path) => {
        const bytes = await without(1)(path);
        if (path === 'tile/entries/000') bytes![300]! ^= 1;
        return bytes;
      };
      expect(await read(changed)).toMatchObject({ status: 'failed', code: 'record-changed', index: 0 });
    });
  });

  it.each([
    ['of more records than it says', aLog(prunes(700, 256))],
    ['without saying so', aLog(entryAt(700))],
    ['by a call that was refused', aLog(prunes(700, 512, 'refused'))],
  ])('is refused where that happened %s', async (_, log) => {
    expect(await verified(pruned(512, log))).toMatchObject({ status: 'failed', code: 'missing-records' });
  });

  it('is refused where a hash of what is gone was changed, or the log rewritten', async () => {
    const log = pruned(512);
    log.pruned![1]![5]! ^= 1;
    expect(await verified(log)).toMatchObject({ status: 'failed', code: 'root-mismatch', between: { from: 100, to: 600 } });
    const fork = LOG.map((entry, seq) => (seq === 9 ? entryAt(9, { body: { outcome: 'failed' } }) : entry));
    expect(await verified(pruned(512, fork), checkpointOver(LOG.slice(0, 300)))).toMatchObject({ code: 'inconsistent-checkpoint' });
  });

  it('is refused where a tile of hashes is not full, or comes after records', async () => {
    expect(await verified({ ...pruned(256), pruned: [hashes(LOG, 0).subarray(32)] })).toMatchObject({ code: 'wrong-tile-width' });
    expect(await verified({ ...pruned(0), entries: LOG.slice(0, 256), pruned: [hashes(LOG, 0)] })).toMatchObject({ status: 'failed' });
  });
});
