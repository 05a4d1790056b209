import type { BundleEntry } from './index.js';
import { tiledLog, verifyBundle, verifyLog } from './index.js';
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

  it('stands tile by tile as well', async () => {
    const fetchTile = async (path: string) => {
      const index = Number(/\/(\d{3})/.exec(path)![1]);
      if (!path.startsWith('tile/0/') && index < 2) return undefined;
      const part = LOG.slice(256 * index, 256 * index + 256);
      if (path.startsWith('tile/0/')) return hashes(LOG, index);
      return Buffer.concat(part.flatMap(({ bytes }) => [Buffer.from([bytes.length >> 8, bytes.length & 255]), bytes]));
    };
    const head = { checkpoint: checkpointOver(LOG), vkeys: [LOG_VKEY], checkpoints: [] };
    expect(await verifyLog(async () => tiledLog({ ...head, minIndex: 512 }, fetchTile), { vkey: LOG_VKEY })).toMatchObject({
      status: 'verified',
      prunedBefore: 512,
    });
    expect(await verifyLog(async () => tiledLog(head, fetchTile), { vkey: LOG_VKEY })).toMatchObject({
      status: 'failed',
      code: 'missing-tile',
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
