import {
  consistencyProofOf,
  emptyTree,
  growTree,
  leafHash,
  parseRecordProof,
  type ReadHashTile,
  recordProofOf,
  type TileNode,
  verifyConsistency,
  verifyRecordProof,
} from './index.js';
import { checkpointOver, keyFrom, LOG_VKEY, ORIGIN, rootOver, sampleLog } from './test/sample-log.js';
import { vkey } from './index.js';

const SIZE = 300;
const log = sampleLog(SIZE);
const nodes: TileNode[] = [];
log.entries.reduce((tree, entry) => growTree(tree, entry.leafHash, (node) => nodes.push(node)), emptyTree());
const readTile: ReadHashTile = async (level, index, width) =>
  (level === 0 ? log.entries.map((entry) => entry.leafHash) : nodes.map(({ hash }) => hash)).slice(256 * index, 256 * index + width);
const proofOf = (index: number) => recordProofOf({ index, size: SIZE, checkpoint: log.checkpoint, readTile });

describe('the proof of a record', () => {
  it.each([0, 1, 255, 256, 299])('shows that record %i stands where it stands', async (index) => {
    const text = await proofOf(index);
    expect(text.startsWith(`c2sp.org/tlog-proof@v1\nindex ${index}\n`)).toBe(true);
    expect(text.endsWith(`\n\n${log.checkpoint}`)).toBe(true);
    expect(await verifyRecordProof(text, log.entries[index]!.bytes, [LOG_VKEY])).toEqual({ index, size: SIZE });
  });

  it('takes any of several keys of the log, as there are when its key was rotated, and none of no key', async () => {
    const [text, { bytes }] = [await proofOf(7), log.entries[7]!];
    const another = vkey(ORIGIN, keyFrom(2).publicKey);
    expect(await verifyRecordProof(text, bytes, [another, LOG_VKEY])).toEqual({ index: 7, size: SIZE });
    for (const keys of [[another, vkey(ORIGIN, keyFrom(3).publicKey)], []])
      await expect(verifyRecordProof(text, bytes, keys)).rejects.toThrow();
  });

  it('is refused for another record, another place, another key, another checkpoint and a changed hash', async () => {
    const text = await proofOf(7);
    const { bytes } = log.entries[7]!;
    const refused: [string, Uint8Array, string][] = [
      [text, log.entries[8]!.bytes, LOG_VKEY],
      [text.replace('index 7', 'index 8'), bytes, LOG_VKEY],
      [text, bytes, vkey(ORIGIN, keyFrom(2).publicKey)],
      [text, bytes, vkey('example.com/other', keyFrom(1).publicKey)],
      [text.replace(log.checkpoint, checkpointOver(log.entries.slice(0, 299))), bytes, LOG_VKEY],
      [text.replace(/\n[A-Za-z0-9+/]{43}=/, `\n${'A'.repeat(43)}=`), bytes, LOG_VKEY],
    ];
    for (const [proof, record, key] of refused) await expect(verifyRecordProof(proof, record, [key])).rejects.toThrow();
  });

  it.each([
    '',
    'c2sp.org/tlog-proof@v2\nindex 0\n\nx',
    'c2sp.org/tlog-proof@v1\nindex 01\n\nx',
    'c2sp.org/tlog-proof@v1\nindex 0\nAAAA\n\nx',
    'c2sp.org/tlog-proof@v1\nindex 0\nnonsense\n\nx',
    'c2sp.org/tlog-proof@v1\nindex 0\n',
  ])('is none: %j', (text) => {
    expect(() => parseRecordProof(text)).toThrow('This is not a proof');
  });

  it('of growth is a consistency proof', async () => {
    for (const [from, to] of [
      [1, 300],
      [256, 299],
      [299, 300],
    ] as const) {
      const proof = await consistencyProofOf({ from, to, readTile });
      const [fromRoot, toRoot] = [from, to].map((size) => rootOver(log.entries.slice(0, size)));
      expect(verifyConsistency({ fromSize: from, fromRoot: fromRoot!, toSize: to, toRoot: toRoot!, proof })).toBe(true);
    }
    expect(leafHash(log.entries[0]!.bytes)).toEqual(log.entries[0]!.leafHash);
  });
});
