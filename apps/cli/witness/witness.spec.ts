import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { KeyLink } from '#contract';
import {
  consistencyProof,
  cosignaturesOf,
  encodeEntries,
  formatAddCheckpoint,
  formatRecordProof,
  inclusionProof,
  parseNote,
  parseVkey,
  parseWitnessKey,
  vkey as logVkey,
} from '#trail';
import { checkpointOver, entryAt, keyFrom, LOG_VKEY, ORIGIN, sampleLog } from '../../../libs/trail/test/sample-log.js';
import { hashOfOrigin, KeptHeads } from './kept-heads.js';
import { mirror } from './mirror.js';
import { submit } from './submit.js';
import { Witness } from './witness.js';
import { claim, createWitness, openWitness } from './witness-folder.js';
import { WitnessServer } from './witness-server.js';

const LOG = sampleLog(40).entries;
const FORK = LOG.map((entry, seq) => (seq === 9 ? entryAt(9, { body: { outcome: 'failed' } }) : entry));
type Entries = typeof LOG;

const asked = (
  size: number,
  oldSize: number,
  { log = LOG, proof = proofOf(log, oldSize, size), checkpoint = checkpointOver(log.slice(0, size)) } = {},
) => formatAddCheckpoint({ oldSize, proof, checkpoint });
const proofOf = (log: Entries, from: number, to: number): readonly Uint8Array[] =>
  from > to
    ? []
    : consistencyProof(
        log.slice(0, to).map(({ leafHash }) => leafHash),
        from,
      );

describe('a witness', () => {
  let folder: string;
  let vkey: string;
  let heads: KeptHeads;
  let witness: Witness;
  const aWitness = (kept: KeptHeads = heads) => new Witness(openWitness(folder), [parseVkey(LOG_VKEY)], kept, () => 1_772_366_400);

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'kw-witness-'));
    vkey = createWitness(folder, 'witness.acme.example');
    heads = new KeptHeads(folder);
    witness = aWitness();
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  const held = () => heads.newest(ORIGIN)?.size ?? 0n;
  const add = (text: string) => witness.addCheckpoint(text);

  it('cosigns a log from its beginning and as it goes on, and the same again', async () => {
    for (const [size, old] of [
      [5, 0],
      [5, 5],
      [8, 5],
      [40, 8],
    ] as const) {
      const answer = await add(asked(size, old));
      expect(answer).toMatchObject({ status: 200 });
      const note = parseNote(checkpointOver(LOG.slice(0, size)) + answer.body);
      expect(await cosignaturesOf(note, [parseWitnessKey(vkey)])).toEqual([{ witness: 'witness.acme.example', time: 1_772_366_400 }]);
      expect(held()).toBe(BigInt(size));
    }
  });

  it.each([
    ['a stale old size', () => asked(30, 10), 409],
    ['no old size, as if it were the first', () => asked(30, 0), 409],
    ['a log that was cut back', () => asked(15, 15), 409],
    ['a log that was cut back, in its own words', () => asked(15, 20, { proof: [] }), 400],
    ['another log of the same size', () => asked(20, 20, { log: FORK }), 409],
    ['another log that went on', () => asked(30, 20, { log: FORK }), 422],
    ['a proof of another log', () => asked(30, 20, { proof: proofOf(FORK, 20, 30) }), 422],
    ['no proof', () => asked(30, 20, { proof: [] }), 422],
    ['a proof with one hash more', () => asked(30, 20, { proof: [...proofOf(LOG, 20, 30), new Uint8Array(32)] }), 422],
    ['an unknown signer', () => asked(30, 20, { checkpoint: checkpointOver(LOG.slice(0, 30), { key: keyFrom(2) }) }), 403],
    ['a bad signature', () => asked(30, 20).replace('\n30\n', '\n31\n'), 403],
    [
      'a log that it does not watch',
      () => asked(30, 20, { checkpoint: checkpointOver(LOG, { origin: ORIGIN.replace('9wa', '9wb') }) }),
      404,
    ],
    ['nothing', () => '', 400],
    ['line ends CRLF', () => asked(30, 20).replaceAll('\n', '\r\n'), 400],
    ['an old size that is none', () => asked(30, 20).replace('old 20', 'old 020'), 400],
    ['a negative old size', () => asked(30, 20).replace('old 20', 'old -1'), 400],
    ['a hash of 31 bytes', () => asked(30, 20, { proof: [new Uint8Array(31)] }), 400],
    ['64 hashes', () => asked(30, 20, { proof: Array(64).fill(new Uint8Array(32)) }), 400],
    ['a checkpoint without signature', () => asked(30, 20).replace(/— .*\n$/, ''), 400],
    ['a checkpoint with an extension', () => asked(30, 20, { checkpoint: checkpointOver(LOG).replace('=\n\n', '=\nmore\n\n') }), 400],
  ])('refuses %s and keeps what it has', async (_, text, status) => {
    await add(asked(20, 0));
    expect(await add(text())).toMatchObject({ status, ...(status === 409 && { body: '20\n', type: 'text/x.tlog.size' }) });
    expect(held()).toBe(20n);
    expect(await add(asked(40, 20))).toMatchObject({ status: 200 });
  });

  it('remembers over a restart, and that a log was empty', async () => {
    expect(await add(asked(0, 0))).toMatchObject({ status: 200 });
    await add(asked(20, 0));
    witness = aWitness();
    expect(await add(asked(30, 20, { log: FORK }))).toMatchObject({ status: 422 });
    expect(await add(asked(30, 20))).toMatchObject({ status: 200 });
  });

  it('refuses an empty log with a root that is none', async () => {
    const other = checkpointOver(LOG.slice(0, 1), { size: 0n });
    expect(await add(asked(0, 0, { checkpoint: other }))).toMatchObject({ status: 409 });
  });

  it('of two that come at once cosigns one, even of a fork', async () => {
    await add(asked(5, 0));
    const answers = await Promise.all([add(asked(20, 5)), add(asked(30, 5, { log: FORK })), add(asked(20, 5)), add(asked(25, 5))]);
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 409, 409, 409]);
  });

  it('gives no cosignature that it could not keep', async () => {
    class FullDisk extends KeptHeads {
      override keep(): void {
        throw new Error('ENOSPC');
      }
    }
    await expect(aWitness(new FullDisk(folder)).addCheckpoint(asked(5, 0))).rejects.toThrow('ENOSPC');
    expect(held()).toBe(0n);
  });

  it('signs nothing when what it kept is unreadable', async () => {
    await add(asked(5, 0));
    writeFileSync(join(folder, `${hashOfOrigin(ORIGIN)}.checkpoint`), 'torn');
    await expect(add(asked(20, 5))).rejects.toThrow();
    await expect(add(asked(20, 0))).rejects.toThrow();
  });

  it('keeps a note that stays readable, however many signatures came with it', async () => {
    const strangers = Array.from({ length: 15 }, (_, i) => `— stranger${i} AAAAAAAA\n`).join('');
    expect(await add(asked(5, 0, { checkpoint: checkpointOver(LOG.slice(0, 5)) + strangers }))).toMatchObject({ status: 200 });
    expect(heads.newest(ORIGIN)?.note.signatures.map(({ name }) => name)).toEqual([ORIGIN, 'witness.acme.example']);
  });

  it('has a key that only its owner reads, and a folder that only one process uses', () => {
    expect(statSync(join(folder, 'witness-key.pem')).mode & 0o777).toBe(0o600);
    expect(() => createWitness(folder, 'again')).toThrow('holds a witness already');
    writeFileSync(join(folder, 'lock'), String(process.ppid));
    expect(() => claim(folder)).toThrow('Another witness runs');
    writeFileSync(join(folder, 'lock'), '4194999');
    claim(folder)();
    expect(readdirSync(folder)).not.toContain('lock');
  });

  describe('over HTTP', () => {
    let server: WitnessServer;
    const errors: unknown[] = [];
    beforeEach(async () => {
      server = await WitnessServer.start(witness, heads, { host: '127.0.0.1', port: 0, onError: (error) => errors.push(error) });
    });
    afterEach(() => server.close());
    const post = (body: string | Uint8Array<ArrayBuffer>, path = '/add-checkpoint') => fetch(server.url + path, { method: 'POST', body });
    const shown = (size: number, log = LOG, newest = size) => ({
      checkpoint: checkpointOver(log.slice(0, size)),
      consistency: async (from: number) => proofOf(log, from, size),
      newestSize: async () => BigInt(newest),
    });

    it('says what it holds to whoever asks, and the size where an old one is wrong', async () => {
      const held = () => fetch(`${server.url}/${hashOfOrigin(ORIGIN)}/checkpoint`);
      expect((await held()).status).toBe(404);
      const lines = await (await post(asked(20, 0))).text();
      expect(await (await held()).text()).toBe(checkpointOver(LOG.slice(0, 20)) + lines);
      const stale = await post(asked(30, 10));
      expect([stale.status, stale.headers.get('content-type'), await stale.text()]).toEqual([409, 'text/x.tlog.size', '20\n']);
    });

    it('refuses other paths and methods, what is too long and what is no text', async () => {
      expect((await post('', '/other')).status).toBe(404);
      expect((await fetch(`${server.url}/add-checkpoint`)).status).toBe(405);
      expect((await post('x'.repeat(70_000))).status).toBe(400);
      expect((await post(new Uint8Array([0xff, 0xfe]))).status).toBe(400);
    });

    it('answers 500 and no cosignature when nothing can be kept', async () => {
      writeFileSync(join(folder, `${hashOfOrigin(ORIGIN)}.checkpoint`), 'torn');
      expect((await post(asked(5, 0))).status).toBe(500);
      expect(errors).toHaveLength(1);
    });

    it('is fed with whatever it lacks, by two at once as well', async () => {
      expect(await submit(server.url, shown(5), [vkey])).toMatch(/^— witness\.acme\.example \S+\n$/);
      expect(await submit(server.url, shown(30), [vkey])).toMatch(/^— /);
      await Promise.all([submit(server.url, shown(40), [vkey]), submit(server.url, shown(40), [vkey])]);
      expect(held()).toBe(40n);
    });

    it.each([
      ['another log of the same size', () => shown(20, FORK), 'fork'],
      ['another log that went on', () => shown(30, FORK), 'not-a-continuation'],
      ['a log that was cut back', () => shown(15), 'rolled-back'],
      ['a log that was cut back and has grown a little since', () => shown(15, LOG, 19), 'rolled-back'],
      ['that others were faster with a newer checkpoint', () => shown(15, LOG, 20), 'overtaken'],
      ['a log of an unknown signer', () => ({ ...shown(30), checkpoint: checkpointOver(LOG, { key: keyFrom(2) }) }), 'bad-signature'],
      [
        'a log that it does not watch',
        () => ({ ...shown(30), checkpoint: checkpointOver(LOG, { origin: ORIGIN.replace('9wa', '9wb') }) }),
        'not-watched',
      ],
    ])('tells whoever feeds it %s', async (_, log, code) => {
      await submit(server.url, shown(20), [vkey]);
      await expect(submit(server.url, log(), [vkey])).rejects.toMatchObject({ name: 'SubmissionRefused', code });
    });

    it('follows a log to its next key, and over a restart; not to a key that nobody vouches for', async () => {
      const [first, second] = [keyFrom(1), keyFrom(2)];
      const next = logVkey(ORIGIN, second.publicKey);
      const rotated = LOG.map((entry, seq) =>
        seq === 10 ? entryAt(10, { body: { op: 'RotateLogKey', change: { number: 2, vkey: next } } }) : entry,
      );
      const over = (key: typeof first) => checkpointOver(rotated.slice(0, 12), { key });
      const link = (key: typeof first) => ({
        vkey: next,
        record: Buffer.from(rotated[10]!.bytes).toString(),
        proof: formatRecordProof({
          index: 10,
          hashes: inclusionProof(
            rotated.slice(0, 12).map(({ leafHash }) => leafHash),
            10,
          ),
          checkpoint: over(key),
        }),
      });
      const shownBySecond = (size: number, rotations: readonly KeyLink[]) => ({
        ...shown(size, rotated),
        checkpoint: checkpointOver(rotated.slice(0, size), { key: second }),
        rotations,
      });
      await submit(server.url, shown(12, rotated), [vkey]);
      await expect(submit(server.url, shownBySecond(20, []), [vkey])).rejects.toMatchObject({ code: 'bad-signature' });
      await expect(submit(server.url, shownBySecond(20, [link(second)]), [vkey])).rejects.toMatchObject({ code: 'bad-signature' });
      expect(await submit(server.url, shownBySecond(20, [link(first)]), [vkey])).toMatch(/^— /);
      const again = aWitness(new KeptHeads(folder));
      expect(await again.addCheckpoint(asked(30, 20, { log: rotated, checkpoint: shownBySecond(30, []).checkpoint }))).toMatchObject({
        status: 200,
      });
    });

    it('is not believed under another key, and not when it is away', async () => {
      const folder2 = mkdtempSync(join(tmpdir(), 'kw-witness-'));
      const other = createWitness(folder2, 'witness.acme.example');
      rmSync(folder2, { recursive: true });
      await expect(submit(server.url, shown(5), [other])).rejects.toMatchObject({ code: 'bad-signature' });
      await expect(submit('http://127.0.0.1:1', shown(5), [vkey])).rejects.toMatchObject({ code: 'unavailable' });
    });
  });
});

describe('a mirror', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'kw-mirror-'));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  const copy = async (log: Entries) => {
    const fetched: string[] = [];
    const fetchTile = async (path: string) => {
      fetched.push(path);
      const at = 256 * Number(/\/(\d{3})/.exec(path)![1]);
      const part = log.slice(at, at + 256);
      return path.includes('entries') ? encodeEntries(part.map(({ bytes }) => bytes)) : Buffer.concat(part.map(({ leafHash }) => leafHash));
    };
    const report = await mirror(folder, { checkpoint: checkpointOver(log), vkeys: [LOG_VKEY], checkpoints: [] }, fetchTile, {
      vkey: LOG_VKEY,
    });
    return { report, fetched };
  };
  const files = () => readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) => statSync(join(folder, name)).isFile());
  const long = sampleLog(300).entries;

  it('copies a log, and later only what is new of it', async () => {
    expect(await copy(long.slice(0, 290))).toMatchObject({ report: { status: 'verified' }, fetched: { length: 4 } });
    expect(await copy(long)).toEqual({
      report: expect.objectContaining({ size: 300 }),
      fetched: ['tile/entries/001.p/44', 'tile/0/001.p/44'],
    });
    expect(files()).toContain('checkpoint');
  });

  it('keeps nothing of a log that does not stand, and notices one that was rewritten', async () => {
    const careless = long.map((entry, seq) => (seq === 9 ? { ...entry, bytes: entryAt(9, { body: { outcome: 'failed' } }).bytes } : entry));
    expect(await copy(careless)).toMatchObject({ report: { status: 'failed' } });
    expect(files()).toEqual([]);
    await copy(long.slice(0, 20));
    const rewritten = long.map((entry, seq) => (seq === 9 ? entryAt(9, { body: { outcome: 'failed' } }) : entry));
    expect(await copy(rewritten)).toMatchObject({ report: { status: 'failed', code: 'inconsistent-checkpoint' } });
    expect(files()).not.toContain('tile/entries/000');
  });
});
