import { z } from 'zod';
import {
  type BundleEntry,
  encodeEntries,
  type FailedReport,
  type FetchTile,
  leafHash,
  tiledLog,
  type VerificationReport,
  verifyBundle,
  verifyLog,
  vkey,
} from './index.js';
import { digestOfDisclosure } from './disclosure.js';
import { concat, fromUtf8, utf8 } from './octets.js';
import {
  bundleOf,
  checkpointOver,
  entries,
  entryAt,
  keyFrom,
  LOG_VKEY,
  ORIGIN,
  rootOver,
  type SampleLog,
  sampleLog,
} from './test/sample-log.js';
import { tarEnd, tarFile } from './tar.js';
import { vectors } from './test/vectors.js';

const SIZE = 600;
const BASE = sampleLog(SIZE);
const stranger = keyFrom(2);
const FOREIGN_ORIGIN = ORIGIN.replace('9wa', '9wb');

/** A fresh copy: the tests spoil it. */
const aLog = (): SampleLog => ({ ...BASE, vkeys: [...BASE.vkeys], entries: [...BASE.entries] });

/** The bytes changed, the stored hash left: what a careless hand in the database does. */
const flip = ({ bytes, leafHash: stored }: BundleEntry, at: number, to: number): BundleEntry => {
  const changed = bytes.slice();
  changed[at] = to;
  return { bytes: changed, leafHash: stored };
};
const withHash = (bytes: Uint8Array): BundleEntry => ({ bytes, leafHash: leafHash(bytes) });
const text = (entry: BundleEntry, from: string, to: string) => utf8(fromUtf8(entry.bytes).replace(from, to));
const signedAgain = (log: SampleLog): SampleLog => ({ ...log, checkpoint: checkpointOver(log.entries) });
const signatureLine = BASE.checkpoint.slice(BASE.checkpoint.lastIndexOf('—'));

const verify = async (log: SampleLog, pinned: string | undefined = LOG_VKEY): Promise<VerificationReport> =>
  verifyBundle(await bundleOf(log), { vkey: pinned });

type Mutation = readonly [what: string, mutate: (log: SampleLog) => SampleLog | void, want: Partial<FailedReport>];

const MUTATIONS: readonly Mutation[] = [
  // In the database, stored hashes left as they were: the record is named.
  ['one byte flipped', ({ entries: log }) => void (log[300] = flip(log[300]!, 200, 0x41)), { code: 'record-changed', index: 300 }],
  ['one byte that makes it no UTF-8', ({ entries: log }) => void (log[7] = flip(log[7]!, 30, 0xff)), { code: 'record-changed', index: 7 }],
  ['the first record changed', ({ entries: log }) => void (log[0] = flip(log[0]!, 60, 0x30)), { code: 'record-changed', index: 0 }],
  ['the last record changed', ({ entries: log }) => void (log[599] = flip(log[599]!, 60, 0x30)), { code: 'record-changed', index: 599 }],
  [
    'a record emptied',
    ({ entries: log }) => void (log[9] = { ...log[9]!, bytes: new Uint8Array(0) }),
    { code: 'record-changed', index: 9 },
  ],
  [
    'another outcome',
    ({ entries: log }) => void (log[5] = { ...log[5]!, bytes: text(log[5]!, '"succeeded"', '"refused"') }),
    { code: 'record-changed', index: 5 },
  ],
  [
    'a duplicate name',
    ({ entries: log }) => void (log[5] = { ...log[5]!, bytes: text(log[5]!, '"v":1', '"v":1,"seq":7') }),
    { code: 'record-changed', index: 5 },
  ],
  [
    'a stored hash changed',
    ({ entries: log }) => void (log[8] = { ...log[8]!, leafHash: new Uint8Array(32) }),
    { code: 'stored-hash-changed', index: 8 },
  ],

  // In the database, the stored hashes recomputed too.
  [
    'a forged record with its tile hash',
    ({ entries: log }) => void (log[300] = entryAt(300, { body: { outcome: 'failed' } })),
    { code: 'root-mismatch', between: { from: 0, to: SIZE } },
  ],
  [
    'a forged record with its tile hash beside a careless change',
    ({ entries: log }) => void ((log[300] = entryAt(300, { body: { outcome: 'failed' } })), (log[400] = flip(log[400]!, 200, 0x41))),
    { code: 'root-mismatch', index: 400 },
  ],
  ['two records swapped', ({ entries: log }) => void ([log[3], log[4]] = [log[4]!, log[3]!]), { code: 'root-mismatch', index: 3, seq: 4 }],
  ['one record in place of another', ({ entries: log }) => void (log[3] = log[4]!), { code: 'root-mismatch', index: 3, seq: 4 }],
  [
    'a record deleted and one appended',
    ({ entries: log }) => void (log.splice(10, 1), log.push(entryAt(600))),
    { code: 'root-mismatch', index: 10, seq: 11 },
  ],
  ['a record deleted', ({ entries: log }) => void log.splice(10, 1), { code: 'missing-records', index: 10, seq: 11 }],
  ['a record deleted and the rest renumbered', (log) => ({ ...log, entries: entries(SIZE - 1) }), { code: 'missing-records', index: 599 }],
  ['the end cut off', ({ entries: log }) => void log.splice(500), { code: 'missing-records', index: 500 }],
  ['a whole tile cut off', ({ entries: log }) => void log.splice(512), { code: 'missing-records', index: 512 }],
  ['everything deleted', (log) => ({ ...log, entries: [] }), { code: 'missing-records', index: 0 }],
  ['a record inserted', ({ entries: log }) => void log.splice(20, 0, entryAt(20)), { code: 'extra-records', index: 21, seq: 20 }],
  ['a record appended', ({ entries: log }) => void log.push(entryAt(600)), { code: 'extra-records', index: 600 }],

  // The checkpoint.
  [
    'an old checkpoint',
    (log) => ({ ...log, checkpoint: checkpointOver(log.entries.slice(0, 599)) }),
    { code: 'extra-records', index: 599 },
  ],
  [
    'a size one too small',
    (log) => ({ ...log, checkpoint: checkpointOver(log.entries, { size: 599n }) }),
    { code: 'extra-records', index: 599 },
  ],
  [
    'a size one too large',
    (log) => ({ ...log, checkpoint: checkpointOver(log.entries, { size: 601n }) }),
    { code: 'missing-records', index: 600 },
  ],
  [
    'the size changed after signing',
    (log) => ({ ...log, checkpoint: log.checkpoint.replace('\n600\n', '\n599\n') }),
    { code: 'bad-signature' },
  ],
  [
    'the signature of an unknown key',
    (log) => ({ ...log, checkpoint: checkpointOver(log.entries, { key: stranger }) }),
    { code: 'unknown-signer' },
  ],
  [
    'a foreign origin',
    (log) => ({ ...log, checkpoint: checkpointOver(log.entries, { origin: FOREIGN_ORIGIN }) }),
    { code: 'foreign-origin' },
  ],
  [
    'an origin that is no log',
    (log) => ({ ...log, checkpoint: checkpointOver(log.entries, { origin: 'example.com/other' }) }),
    { code: 'malformed-checkpoint' },
  ],
  ['17 signatures', (log) => ({ ...log, checkpoint: log.checkpoint + signatureLine.repeat(16) }), { code: 'malformed-note' }],
  ['line ends CRLF', (log) => ({ ...log, checkpoint: log.checkpoint.replaceAll('\n', '\r\n') }), { code: 'malformed-note' }],
  ['no checkpoint', (log) => ({ ...log, checkpoint: '' }), { code: 'malformed-note' }],
  ['no verifier key', (log) => ({ ...log, vkeys: [] }), { code: 'malformed-bundle' }],
  ['a verifier key that is none', (log) => ({ ...log, vkeys: ['x+00000000+AAAA'] }), { code: 'malformed-vkey' }],
  ['a verifier key with CRLF', (log) => ({ ...log, vkeys: [`${LOG_VKEY}\r`] }), { code: 'malformed-vkey' }],

  // Whoever has the PIN can have anything signed: what may not stand in a log is found even then.
  [
    'signed: a record of another log',
    (log) => (log.entries.splice(4, 1, entryAt(4, { body: { log: FOREIGN_ORIGIN.slice(-30) } })), signedAgain(log)),
    { code: 'foreign-record', index: 4, seq: 4 },
  ],
  [
    'signed: a wrong number',
    (log) => (log.entries.splice(4, 1, entryAt(4, { seq: 9 })), signedAgain(log)),
    { code: 'record-out-of-place', index: 4, seq: 9 },
  ],
  [
    'signed: time goes back',
    (log) => (log.entries.splice(4, 1, entryAt(4, { recordedAt: '2026-03-01T11:59:59.999999Z' })), signedAgain(log)),
    { code: 'time-went-back', index: 4, seq: 4 },
  ],
  [
    'signed: a duplicate name',
    (log) => (log.entries.splice(4, 1, withHash(text(log.entries[4]!, '"v":1', '"v":1,"seq":7'))), signedAgain(log)),
    { code: 'malformed-record', index: 4 },
  ],
  [
    'signed: a record that is too long',
    (log) => (log.entries.splice(4, 1, withHash(text(log.entries[4]!, '"billing"', `"${'b'.repeat(8192)}"`))), signedAgain(log)),
    { code: 'malformed-record', index: 4 },
  ],
];

/** The same with what was signed on the way: after 100, 256, 400 and 599 records. */
const withHistory = (): SampleLog => ({
  ...aLog(),
  checkpoints: [100, 256, 400, 599].map((size) => checkpointOver(BASE.entries.slice(0, size))),
});

describe('a bundle with earlier checkpoints', () => {
  it('stands', async () => {
    expect(await verify(withHistory())).toMatchObject({ status: 'verified', size: SIZE });
  });

  it.each([
    [0, { from: 0, to: 100 }],
    [99, { from: 0, to: 100 }],
    [100, { from: 100, to: 256 }],
    [300, { from: 256, to: 400 }],
    [599, { from: 599, to: 600 }],
  ])('names the two around record %i when its stored hash was recomputed too', async (index, between) => {
    const log = withHistory();
    log.entries[index] = entryAt(index, { body: { outcome: 'failed' } });
    const message = expect.stringContaining(`of size ${between.from} and ${between.to}.`);
    expect(await verify(log)).toEqual({ status: 'failed', code: 'root-mismatch', between, message });
  });

  it('shows that a log was signed twice', async () => {
    const log = withHistory();
    log.entries[300] = entryAt(300, { body: { outcome: 'failed' } });
    expect(await verify(signedAgain(log))).toMatchObject({ code: 'inconsistent-checkpoint', between: { from: 256, to: 400 } });
  });

  const elsewhere = BASE.entries.slice(0, 256).map((entry, index) => (index === 9 ? entryAt(9, { body: { outcome: 'failed' } }) : entry));
  it.each([
    ['an unknown signer', [checkpointOver(elsewhere, { key: stranger })], 'unknown-signer'],
    ['a foreign origin', [checkpointOver(BASE.entries.slice(0, 256), { origin: FOREIGN_ORIGIN })], 'foreign-origin'],
    ['the newest again', [BASE.checkpoint], 'malformed-bundle'],
    ['a larger one', [checkpointOver([...BASE.entries, entryAt(600)])], 'malformed-bundle'],
    ['no note', ['nonsense'], 'malformed-note'],
  ])('is refused with one of %s', async (_, checkpoints, code) => {
    expect(await verify({ ...aLog(), checkpoints })).toMatchObject({ status: 'failed', code });
  });

  it('is refused when they are no JSON strings', async () => {
    const head = [tarFile({ path: 'checkpoint', bytes: utf8(BASE.checkpoint) }), tarFile({ path: 'vkey', bytes: utf8(`${LOG_VKEY}\n`) })];
    for (const text of ['{}\n', 'nonsense\n', ''])
      expect(await verifyBundle(concat(...head, tarFile({ path: 'checkpoints.jsonl', bytes: utf8(text) }), tarEnd()))).toMatchObject({
        code: 'malformed-bundle',
      });
  });
});

describe('a log beside a checkpoint that was kept', () => {
  const since = (kept: string, log = aLog()) => bundleOf(log).then((bundle) => verifyBundle(bundle, { vkey: LOG_VKEY, since: kept }));
  const upTo = (size: number) => checkpointOver(BASE.entries.slice(0, size));

  it.each([0, 1, 300, SIZE])('stands when it continues the one of %i records', async (size) => {
    expect(await since(upTo(size))).toMatchObject({ status: 'verified', size: SIZE });
    expect(await since(upTo(size), withHistory())).toMatchObject({ status: 'verified', size: SIZE });
  });

  it('is refused when it was rewritten and signed again', async () => {
    const log = withHistory();
    log.entries[300] = entryAt(300, { body: { outcome: 'failed' } });
    const rewritten = { ...signedAgain(log), checkpoints: [checkpointOver(log.entries.slice(0, 400))] };
    expect(await verify(rewritten)).toMatchObject({ status: 'verified' });
    expect(await since(upTo(350), rewritten)).toMatchObject({ code: 'inconsistent-checkpoint', between: { from: 0, to: 350 } });
    expect(await since(upTo(400), rewritten)).toMatchObject({ code: 'inconsistent-checkpoint' });
  });

  it('is refused when it is older', async () => {
    expect(await since(checkpointOver([...BASE.entries, entryAt(600)]))).toMatchObject({ code: 'older-checkpoint' });
  });

  it('is refused when that one is of another log or signer, or none', async () => {
    expect(await since(checkpointOver(BASE.entries, { key: stranger }))).toMatchObject({ code: 'unknown-signer' });
    expect(await since(checkpointOver(BASE.entries, { origin: FOREIGN_ORIGIN }))).toMatchObject({ status: 'failed' });
    expect(await since('nonsense')).toMatchObject({ code: 'malformed-note' });
  });
});

describe('a log that is read tile by tile', () => {
  const { checkpoint } = BASE;
  const tileOf = async (path: string, log: SampleLog = BASE): Promise<Uint8Array> => {
    const [, kind, place] = /^tile\/(0|entries)\/(.*)$/.exec(path)!;
    const index = Number(place!.slice(0, 3));
    const part = log.entries.slice(256 * index, 256 * (index + 1));
    return kind === '0' ? concat(...part.map((entry) => entry.leafHash)) : encodeEntries(part.map(({ bytes }) => bytes));
  };
  const verifyTiles = (fetch: FetchTile, checkpoints: string[] = []) =>
    verifyLog(async () => tiledLog({ checkpoint, vkeys: [], checkpoints }, fetch), { vkey: LOG_VKEY });

  it('stands, and each tile is asked for once', async () => {
    const asked: string[] = [];
    expect(await verifyTiles((path) => (asked.push(path), tileOf(path)))).toMatchObject({ status: 'verified', size: SIZE, pinned: true });
    expect(asked).toEqual(['000', '001', '002.p/88'].flatMap((name) => [`tile/entries/${name}`, `tile/0/${name}`]));
  });

  it('names the first bad record, or the checkpoints around it', async () => {
    const log = aLog();
    log.entries[300] = flip(log.entries[300]!, 200, 0x41);
    expect(await verifyTiles((path) => tileOf(path, log))).toMatchObject({ code: 'record-changed', index: 300 });
    log.entries[300] = entryAt(300, { body: { outcome: 'failed' } });
    expect(await verifyTiles((path) => tileOf(path, log), withHistory().checkpoints)).toMatchObject({ between: { from: 256, to: 400 } });
  });

  it('is refused when a tile is missing', async () => {
    const without = (missing: string) => verifyTiles(async (path) => (path === missing ? undefined : tileOf(path)));
    expect(await without('tile/entries/001')).toMatchObject({ code: 'missing-records', index: 256 });
    for (const path of ['tile/entries/002.p/88', 'tile/0/001', 'tile/0/002.p/88'])
      expect(await without(path)).toMatchObject({ code: 'missing-tile' });
  });

  it.each([
    ['too narrow', (tile: Uint8Array) => tile.slice(0, -32), 'wrong-tile-width'],
    ['cut off', (tile: Uint8Array) => tile.slice(0, -1), 'malformed-bundle'],
    ['too wide', (tile: Uint8Array) => concat(tile, new Uint8Array(32)), 'wrong-tile-width'],
  ])('is refused when a tile is %s', async (_, change, code) => {
    expect(await verifyTiles(async (path) => (path === 'tile/0/001' ? change(await tileOf(path)) : await tileOf(path)))).toMatchObject({
      code,
    });
  });
});

describe('a bundle', () => {
  it.each([0, 1, 255, 256, 257, 600])('of %i records stands', async (size) => {
    const log = sampleLog(size);
    const times =
      size === 0 ? {} : { firstAt: '2026-03-01T12:00:00.000000Z', lastAt: `2026-03-01T12:00:00.${String(size - 1).padStart(6, '0')}Z` };
    const root = Buffer.from(rootOver(log.entries)).toString('base64');
    expect(await verify(log)).toEqual({ status: 'verified', origin: ORIGIN, size, root, ...times, pinned: true });
  });

  it('says so when nothing but itself vouches for its key', async () => {
    expect(await verifyBundle(await bundleOf(aLog()))).toMatchObject({ status: 'verified', pinned: false });
  });

  it('of a forger stands only for who pinned no key', async () => {
    const forged = { ...aLog(), vkeys: [vkey(ORIGIN, stranger.publicKey)], checkpoint: checkpointOver(BASE.entries, { key: stranger }) };
    expect(await verify(forged)).toMatchObject({ status: 'failed', code: 'unknown-signer' });
    expect(await verifyBundle(await bundleOf(forged))).toMatchObject({ status: 'verified', pinned: false });
  });

  it.each(MUTATIONS)('is refused with %s', async (_, mutate, want) => {
    const log = aLog();
    const report = await verify(mutate(log) ?? log);
    expect(report).toEqual({ status: 'failed', message: expect.stringMatching(/./), ...want });
  });

  it('with a forged record tells where the tampered part lies', async () => {
    const log = aLog();
    log.entries[300] = entryAt(300, { body: { outcome: 'failed' } });
    expect(await verify(log)).toMatchObject({ message: expect.stringContaining('checkpoints of size 0 and 600') });
  });

  it('may arrive in pieces of any length', async () => {
    const whole = await bundleOf(aLog());
    async function* pieces(length: number) {
      for (let at = 0; at < whole.length; at += length) yield whole.subarray(at, at + length);
    }
    for (const length of [1000, 4096, 65_537])
      expect(await verifyBundle(pieces(length), { vkey: LOG_VKEY })).toMatchObject({ status: 'verified' });
  });

  it('is closed when reading ends early', async () => {
    let closed = false;
    async function* endless() {
      try {
        for (;;) yield new Uint8Array(512).fill(1);
      } finally {
        closed = true;
      }
    }
    expect(await verifyBundle(endless())).toMatchObject({ code: 'malformed-bundle' });
    expect(closed).toBe(true);
  });

  it('cannot be verified with a pinned key that is none', async () => {
    await expect(verifyBundle(new Uint8Array(0), { vkey: 'mistyped' })).rejects.toThrow('Not a verifier key');
  });

  it('verifies as it was written by the first version', async () => {
    const golden = vectors('golden-bundle.json', z.object({ vkey: z.string(), bundle: z.string(), want: z.looseObject({}) }));
    expect(await verifyBundle(Buffer.from(golden.bundle, 'base64'), { vkey: golden.vkey })).toEqual(golden.want);
  });
});

describe('the archive of a bundle', () => {
  const files = async (log: SampleLog) => {
    const whole = await bundleOf(log);
    const [checkpoint, keys] = [
      tarFile({ path: 'checkpoint', bytes: utf8(log.checkpoint) }),
      tarFile({ path: 'vkey', bytes: utf8(`${LOG_VKEY}\n`) }),
    ];
    return { whole, checkpoint, keys, tiles: whole.subarray(checkpoint.length + keys.length, whole.length - 1024) };
  };
  const report = (bytes: Uint8Array) => verifyBundle(bytes, { vkey: LOG_VKEY });
  const small = sampleLog(3);
  const entriesTile = (path: string) =>
    tarFile({
      path,
      bytes: concat(...small.entries.flatMap(({ bytes }) => [Uint8Array.of(bytes.length >> 8, bytes.length & 255), bytes])),
    });
  const hashTile = (path: string, count = 3) =>
    tarFile({ path, bytes: concat(...small.entries.slice(0, count).map((entry) => entry.leafHash)) });

  it('is what tar reads', async () => {
    const { whole, checkpoint, keys } = await files(small);
    const same = concat(checkpoint, keys, entriesTile('tile/entries/000.p/3'), hashTile('tile/0/000.p/3'), tarEnd());
    expect(Buffer.compare(whole, same)).toBe(0);
    expect(await report(same)).toMatchObject({ status: 'verified', size: 3 });
  });

  it.each([
    ["a width in the name that is not the tile's", 'tile/entries/000.p/4', 'tile/0/000.p/4', 3, 'wrong-tile-width'],
    ['a part that is called full', 'tile/entries/000', 'tile/0/000', 3, 'wrong-tile-width'],
    ['fewer hashes than records', 'tile/entries/000.p/3', 'tile/0/000.p/2', 2, 'wrong-tile-width'],
    ['fewer hashes than the name says', 'tile/entries/000.p/3', 'tile/0/000.p/3', 2, 'wrong-tile-width'],
    ['another tile', 'tile/entries/001.p/3', 'tile/0/000.p/3', 3, 'malformed-bundle'],
    ['the tiles the other way round', 'tile/0/000.p/3', 'tile/entries/000.p/3', 3, 'malformed-bundle'],
    ['a path that leads out', '../tile/entries/000.p/3', 'tile/0/000.p/3', 3, 'malformed-bundle'],
  ])('is refused with %s', async (_, entriesPath, hashPath, count, code) => {
    const { checkpoint, keys } = await files(small);
    expect(await report(concat(checkpoint, keys, entriesTile(entriesPath), hashTile(hashPath, count), tarEnd()))).toMatchObject({
      status: 'failed',
      code,
    });
  });

  it('is refused when a tile follows one that is not full', async () => {
    const { checkpoint, keys, tiles } = await files(small);
    expect(await report(concat(checkpoint, keys, tiles, tiles, tarEnd()))).toMatchObject({ code: 'wrong-tile-width' });
  });

  it('is refused with an empty tile', async () => {
    const { checkpoint, keys } = await files(small);
    const empty = [
      tarFile({ path: 'tile/entries/000.p/0', bytes: new Uint8Array(0) }),
      tarFile({ path: 'tile/0/000.p/0', bytes: new Uint8Array(0) }),
    ];
    expect(await report(concat(checkpoint, keys, ...empty, tarEnd()))).toMatchObject({ code: 'wrong-tile-width' });
  });

  it('is refused without its hash tile, without its end, with bytes after it, in another order and with a file twice', async () => {
    const { whole, checkpoint, keys, tiles } = await files(small);
    const broken = [
      concat(checkpoint, keys, entriesTile('tile/entries/000.p/3'), tarEnd()),
      concat(checkpoint, keys, tiles),
      concat(whole, Uint8Array.of(0)),
      concat(keys, checkpoint, tiles, tarEnd()),
      concat(checkpoint, checkpoint, keys, tiles, tarEnd()),
      concat(checkpoint, tarEnd()),
      new Uint8Array(0),
    ];
    for (const bytes of broken) expect(await report(bytes)).toMatchObject({ status: 'failed', code: 'malformed-bundle' });
  });

  it('is refused when cut off anywhere, and with any byte changed', async () => {
    const { whole } = await files(small);
    for (let at = 0; at < whole.length; at += 97) {
      expect(await report(whole.subarray(0, at))).toMatchObject({ status: 'failed', code: expect.stringMatching(/^malformed-/) });
      const changed = whole.slice();
      changed[at] = changed[at]! ^ 0x20;
      expect({ at, ...(await report(changed)) }).toMatchObject({ at, status: 'failed' });
    }
  });
});

describe('a bundle with personal fields', () => {
  const salted = (name: string, value: string) =>
    Buffer.from(JSON.stringify(['_26bc4LT-ac6q2KI6cBW5es', name, value])).toString('base64url');
  const [mine, yours] = [salted('userName', 'otto'), salted('userName', 'anna')];
  const carrying = (seq: number, text: string): BundleEntry =>
    entryAt(seq, { body: { _sd: [digestOfDisclosure(text)], _sd_alg: 'sha-256' } });
  /** Record 3 carries one, record 300 another; what is shown of them stands beside their tiles. */
  const aLogOf = (shown: Record<number, readonly string[]>) => {
    const log = signedAgain({
      ...aLog(),
      entries: entries(SIZE).map((entry, seq) => (seq === 3 ? carrying(3, mine) : seq === 300 ? carrying(300, yours) : entry)),
    });
    return { ...log, entries: log.entries.map((entry, seq) => ({ ...entry, ...(shown[seq] && { disclosures: shown[seq] }) })) };
  };

  it('stands, whether they are shown or erased', async () => {
    expect(await verify(aLogOf({ 3: [mine], 300: [yours] }))).toMatchObject({ status: 'verified', disclosed: 2 });
    expect(await verify(aLogOf({ 300: [yours] }))).toMatchObject({ status: 'verified', disclosed: 1 });
    expect(await verify(aLogOf({}))).not.toHaveProperty('disclosed');
  });

  it.each([
    ['another value', { 3: [salted('userName', 'eve')] }, 0],
    ['one that only a record of another tile carries', { 3: [mine], 300: [mine] }, 256],
    ['none at all', { 3: ['x'] }, 0],
  ])('is refused with %s', async (_, shown, index) => {
    expect(await verify(aLogOf(shown))).toMatchObject({ status: 'failed', code: 'foreign-disclosure', index });
  });

  it.each([
    ['no base64url', '!'],
    ['no JSON', Buffer.from('[').toString('base64url')],
    ['another name than there is', salted('salary', '7')],
    ['a value that forges a line', salted('userName', 'otto\nFAILED')],
  ])('is refused, and the record named, with %s that a record vouches for', async (_, planted) => {
    const log = signedAgain({
      ...aLog(),
      entries: entries(SIZE).map((entry, seq) => (seq === 300 ? { ...carrying(300, planted), disclosures: [planted] } : entry)),
    });
    expect(await verify(log)).toMatchObject({ status: 'failed', code: 'malformed-disclosure', index: 300 });
  });

  it('is refused when they are no JSON strings', async () => {
    const tar = Buffer.from(await bundleOf(aLogOf({ 3: [mine] })));
    const at = tar.indexOf(`"${mine}"`);
    tar[at] = 0x20;
    expect(await verifyBundle(tar, { vkey: LOG_VKEY })).toMatchObject({ status: 'failed', code: 'malformed-bundle' });
  });
});
