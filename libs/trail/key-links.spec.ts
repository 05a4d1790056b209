import { generateKeyPairSync, sign } from 'node:crypto';
import type { KeyLink } from '#contract';
import {
  type BundleEntry,
  formatCheckpointBody,
  formatNote,
  formatRecordProof,
  inclusionProof,
  parseNote,
  parseVkey,
  verifyBundle,
  verifyLog,
  vkey,
} from './index.js';
import { fromUtf8 } from './octets.js';
import { bundleOf, checkpointOver, entryAt, keyFrom, LOG_VKEY, ORIGIN, rootOver } from './test/sample-log.js';

const KEYS = [1, 2, 3].map(keyFrom);
const VKEYS = KEYS.map(({ publicKey }) => vkey(ORIGIN, publicKey));
const rotation = (seq: number, to: string, change = {}): BundleEntry =>
  entryAt(seq, {
    body: { op: 'RotateLogKey', category: 'management', rw: 'write', change: { number: 2, vkey: to, ...replaces(to) }, ...change },
  });
const replaces = (to: string) => (VKEYS.indexOf(to) < 1 ? {} : { replaces: VKEYS[VKEYS.indexOf(to) - 1]! });

/** Forty records; the tenth and the thirtieth name the next keys. */
const LOG = Array.from({ length: 40 }, (_, seq) =>
  seq === 10 ? rotation(seq, VKEYS[1]!) : seq === 30 ? rotation(seq, VKEYS[2]!) : entryAt(seq),
);
const EVIL = keyFrom(66);
const EVIL_VKEY = vkey(ORIGIN, EVIL.publicKey);

/** A checkpoint that each of these keys signed. */
function signedBy(entries: readonly BundleEntry[], ...keys: readonly ReturnType<typeof keyFrom>[]): string {
  const notes = keys.map((key) => parseNote(checkpointOver(entries, { key })));
  return formatNote({ body: notes[0]!.body, signatures: notes.flatMap(({ signatures }) => signatures) });
}
function linkOver(log: readonly BundleEntry[], seq: number, to: string, checkpoint: string, size: number): KeyLink {
  const hashes = inclusionProof(
    log.slice(0, size).map(({ leafHash }) => leafHash),
    seq,
  );
  return { vkey: to, record: fromUtf8(log[seq]!.bytes), proof: formatRecordProof({ index: seq, hashes, checkpoint }) };
}
const FIRST = linkOver(LOG, 10, VKEYS[1]!, signedBy(LOG.slice(0, 12), KEYS[0]!, KEYS[1]!), 12);
const SECOND = linkOver(LOG, 30, VKEYS[2]!, signedBy(LOG.slice(0, 31), KEYS[1]!, KEYS[2]!), 31);
const NEWEST = signedBy(LOG, KEYS[2]!);

const verified = async (change: {
  readonly vkey?: string;
  readonly rotations?: readonly KeyLink[];
  readonly checkpoint?: string;
  readonly entries?: BundleEntry[];
  readonly checkpoints?: string[];
  readonly since?: string;
}) => {
  const { vkey: pinned = LOG_VKEY, rotations = [FIRST, SECOND], checkpoint = NEWEST, entries = LOG, checkpoints = [], since } = change;
  const bundle = await bundleOf({ checkpoint, vkeys: [...VKEYS].reverse(), entries, checkpoints, rotations: [...rotations] });
  return await verifyBundle(bundle, { vkey: pinned, since });
};

describe('a log whose key was rotated twice', () => {
  it('is verified from its first key, which signs no more, and from the second', async () => {
    expect(await verified({})).toMatchObject({ status: 'verified', pinned: true, followedTo: VKEYS[2] });
    expect(await verified({ vkey: VKEYS[1]! })).toMatchObject({ status: 'verified', followedTo: VKEYS[2] });
    expect(await verified({ vkey: VKEYS[2]! })).toMatchObject({ status: 'verified' });
    expect(await verified({ vkey: VKEYS[2]! })).not.toHaveProperty('followedTo');
  });

  it('tells nobody to pin another key while the pinned one still signs', async () => {
    const report = await verified({ checkpoint: signedBy(LOG, KEYS[0]!, KEYS[1]!), rotations: [FIRST] });
    expect(report).toMatchObject({ status: 'verified', pinned: true });
    expect(report).not.toHaveProperty('followedTo');
  });

  it.each<[string, readonly KeyLink[], string]>([
    ['a link is left out', [SECOND], 'unknown-signer'],
    ['all links are left out', [], 'unknown-signer'],
    ['the links come in another order', [SECOND, FIRST], 'unknown-signer'],
    ['a link names another key than its record', [FIRST, { ...SECOND, vkey: EVIL_VKEY }], 'bad-key-link'],
    [
      "a link's record is another one of the log",
      [FIRST, linkOver(LOG, 20, VKEYS[2]!, signedBy(LOG.slice(0, 31), KEYS[1]!), 31)],
      'bad-key-link',
    ],
    ["a link's proof is of another record", [FIRST, { ...SECOND, record: FIRST.record }], 'bad-key-link'],
    ["a link's record was changed", [FIRST, { ...SECOND, record: SECOND.record.replace('succeeded', 'failed') }], 'bad-key-link'],
    ['a link is no proof', [FIRST, { ...SECOND, proof: 'none' }], 'bad-key-link'],
    ['a link is no key', [{ ...FIRST, vkey: 'none' }, SECOND], 'bad-key-link'],
  ])('is refused where %s', async (_, rotations, code) => {
    expect(await verified({ rotations })).toMatchObject({ status: 'failed', code });
  });

  it('is refused with a link that only the new key itself signed', async () => {
    const log = LOG.map((entry, seq) => (seq === 10 ? rotation(seq, EVIL_VKEY) : entry));
    const link = linkOver(log, 10, EVIL_VKEY, signedBy(log.slice(0, 12), EVIL), 12);
    expect(await verified({ entries: log, rotations: [link], checkpoint: signedBy(log, EVIL) })).toMatchObject({ code: 'unknown-signer' });
  });

  it('is refused with a new key in a record that was refused', async () => {
    const log = LOG.map((entry, seq) => (seq === 10 ? rotation(seq, EVIL_VKEY, { outcome: 'refused' }) : entry));
    const link = linkOver(log, 10, EVIL_VKEY, signedBy(log.slice(0, 12), KEYS[0]!), 12);
    expect(await verified({ entries: log, rotations: [link], checkpoint: signedBy(log, EVIL) })).toMatchObject({ code: 'bad-key-link' });
  });

  it('is refused with a link into another history, which its key signed too', async () => {
    const fork = LOG.map((entry, seq) => (seq === 5 ? entryAt(5, { body: { outcome: 'failed' } }) : entry));
    const link = linkOver(fork, 10, VKEYS[1]!, signedBy(fork.slice(0, 12), KEYS[0]!, KEYS[1]!), 12);
    expect(await verified({ rotations: [link, SECOND] })).toMatchObject({
      status: 'failed',
      code: 'inconsistent-checkpoint',
      between: { to: 12 },
    });
  });

  describe('and whose newest key was pinned', () => {
    const vkey = VKEYS[2]!;
    const early = [signedBy(LOG.slice(0, 5), KEYS[0]!), signedBy(LOG.slice(0, 9), KEYS[0]!)];
    const bad = entryAt(7, { body: { outcome: 'failed' } });
    const changed = (leafHash: Uint8Array) => LOG.map((entry, seq) => (seq === 7 ? { bytes: bad.bytes, leafHash } : entry));

    it('continues a checkpoint that was kept while only its first key signed, and no other', async () => {
      expect(await verified({ vkey, since: early[0]! })).toMatchObject({ status: 'verified' });
      expect(await verified({ vkey, since: signedBy(changed(bad.leafHash).slice(0, 9), KEYS[0]!) })).toMatchObject({
        code: 'inconsistent-checkpoint',
        between: { from: 0, to: 9 },
      });
      expect(await verified({ vkey, since: signedBy(LOG.slice(0, 5), EVIL) })).toMatchObject({ code: 'unknown-signer' });
    });

    it('names what was changed while the first key signed', async () => {
      for (const rotations of [[FIRST, SECOND], []])
        expect(await verified({ vkey, rotations, checkpoints: early, entries: changed(LOG[7]!.leafHash) })).toMatchObject({
          code: 'record-changed',
          index: 7,
        });
      expect(await verified({ vkey, checkpoints: early, entries: changed(bad.leafHash) })).toMatchObject({
        code: 'root-mismatch',
        between: { from: 5, to: 9 },
      });
    });

    it('is not taken with the signature of a key that was replaced', async () => {
      expect(await verified({ vkey, checkpoint: signedBy(LOG, KEYS[1]!) })).toMatchObject({ code: 'unknown-signer' });
      expect(await verified({ vkey, checkpoint: signedBy(LOG, KEYS[0]!, KEYS[1]!) })).toMatchObject({ code: 'unknown-signer' });
    });
  });

  it('ignores signatures of keys that nobody knows', async () => {
    expect(await verified({ checkpoint: signedBy(LOG, EVIL, KEYS[2]!) })).toMatchObject({ status: 'verified' });
  });

  it('is followed with keys on P-256 as well, and tile by tile', async () => {
    const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const spki = new Uint8Array(pair.publicKey.export({ format: 'der', type: 'spki' }));
    const next = vkey(ORIGIN, spki, 2);
    const log = LOG.map((entry, seq) => (seq === 10 ? rotation(seq, next) : entry));
    const ecdsa = (size: number) => {
      const body = formatCheckpointBody({ origin: ORIGIN, size: BigInt(size), root: rootOver(log.slice(0, size)) });
      const { keyId, name } = parseVkey(next);
      return formatNote({ body, signatures: [{ name, keyId, signature: sign('sha256', Buffer.from(body), pair.privateKey) }] });
    };
    const link = linkOver(log, 10, next, signedBy(log.slice(0, 12), KEYS[0]!), 12);
    const bundle = await bundleOf({ checkpoint: ecdsa(40), vkeys: [next, LOG_VKEY], entries: log, rotations: [link] });
    expect(await verifyBundle(bundle, { vkey: LOG_VKEY })).toMatchObject({ status: 'verified', followedTo: next });
    async function* tiles() {
      yield { entries: log.map(({ bytes }) => bytes), hashes: log.map(({ leafHash }) => leafHash) };
    }
    const open = async () => ({ checkpoint: ecdsa(40), vkeys: [next], rotations: [link], checkpoints: [], tiles: tiles() });
    expect(await verifyLog(open, { vkey: LOG_VKEY })).toMatchObject({ status: 'verified', followedTo: next });
  });
});
