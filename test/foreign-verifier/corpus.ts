import { type BundleEntry, encodeEntries, leafHash, MAX_RECORD_BYTES, tilePath } from '#trail';
import { checkpointOver, entryAt, keyFrom, LOG_VKEY, ORIGIN, type SampleLog, sampleLog } from '../../libs/trail/test/sample-log.js';
import type { LogFiles } from './foreign-verifier.js';

export const SIZE = 600;
const BASE = sampleLog(SIZE);
const FOREIGN_ORIGIN = ORIGIN.replace('9wa', '9wb');
const WIDTH = 256;

/** A log that a verifier is given, and the checkpoint that its auditor kept from earlier. */
export interface Exhibit {
  readonly vkey: string;
  readonly files: LogFiles;
  readonly kept?: string;
}

export const genuine = (size = SIZE): Exhibit => ({
  vkey: LOG_VKEY,
  files: filesOf(sampleLog(size)),
  kept: checkpointOver(BASE.entries.slice(0, Math.min(size, 200))),
});

/** As an auditor plane serves it: what is where, by the checkpoint's own size. */
function filesOf({ checkpoint, entries }: SampleLog): Map<string, Uint8Array> {
  const files = new Map<string, Uint8Array>([['checkpoint', Buffer.from(checkpoint)]]);
  for (let index = 0; index * WIDTH < entries.length; index++) {
    const part = entries.slice(index * WIDTH, (index + 1) * WIDTH);
    files.set(tilePath('entries', index, part.length), encodeEntries(part.map(({ bytes }) => bytes)));
    files.set(tilePath('0', index, part.length), Buffer.concat(part.map((entry) => entry.leafHash)));
  }
  return files;
}

const aLog = (): SampleLog => ({ ...BASE, entries: [...BASE.entries] });
const forged = (seq: number): BundleEntry => entryAt(seq, { body: { outcome: 'failed' } });
/** The bytes changed, the stored hash left. */
const careless = (seq: number): BundleEntry => ({ ...BASE.entries[seq]!, bytes: forged(seq).bytes });
const oversize = (seq: number): BundleEntry => {
  const bytes = new Uint8Array(MAX_RECORD_BYTES + 1).fill(0x20);
  bytes.set(BASE.entries[seq]!.bytes);
  return { bytes, leafHash: leafHash(bytes) };
};

/** Changes of the records; the checkpoint stays, and so does what it is of. */
const records = (change: (entries: BundleEntry[]) => void) => (): Exhibit => {
  const log = aLog();
  change(log.entries);
  return { vkey: LOG_VKEY, files: filesOf(log) };
};
const checkpoint = (text: string, kept?: string) => (): Exhibit => ({
  vkey: LOG_VKEY,
  files: filesOf({ ...aLog(), checkpoint: text }),
  ...(kept !== undefined && { kept }),
});
/** Signed again by the log's own key: whoever holds the PIN can do that. What the auditor kept shows it. */
const signedAgain = (change: (entries: BundleEntry[]) => void) => (): Exhibit => {
  const log = aLog();
  change(log.entries);
  return {
    vkey: LOG_VKEY,
    files: filesOf({ ...log, checkpoint: checkpointOver(log.entries) }),
    kept: checkpointOver(BASE.entries.slice(0, 500)),
  };
};
const files = (change: (of: Map<string, Uint8Array>) => void) => (): Exhibit => {
  const of = filesOf(aLog());
  change(of);
  return { vkey: LOG_VKEY, files: of };
};
const rename = (of: Map<string, Uint8Array>, from: string, to: string) => {
  of.set(to, of.get(from)!);
  of.delete(from);
};

/** Every way of lying about a log that both verifiers must see. */
export const MUTATIONS: readonly (readonly [what: string, make: () => Exhibit])[] = [
  ['one record changed', records((entries) => (entries[300] = careless(300)))],
  ['the first record changed', records((entries) => (entries[0] = careless(0)))],
  ['the last record changed', records((entries) => (entries[SIZE - 1] = careless(SIZE - 1)))],
  ['a forged record with its tile hash', records((entries) => (entries[300] = forged(300)))],
  ['a record inserted', records((entries) => entries.splice(20, 0, entryAt(20)))],
  ['a record deleted', records((entries) => entries.splice(20, 1))],
  ['a record deleted and one appended', records((entries) => (entries.splice(20, 1), entries.push(entryAt(SIZE))))],
  ['two records swapped', records((entries) => ([entries[3], entries[4]] = [entries[4]!, entries[3]!]))],
  ['the end cut off', records((entries) => entries.splice(500))],
  ['a whole tile cut off', records((entries) => entries.splice(512))],
  ['everything cut off', records((entries) => entries.splice(0))],
  ['a record that is too long', records((entries) => (entries[4] = oversize(4)))],
  ['a record that is too long, signed', signedAgain((entries) => (entries[550] = oversize(550)))],
  ['everything recomputed and signed again', signedAgain((entries) => (entries[300] = forged(300)))],
  [
    'a record deleted, the rest renumbered and signed again',
    signedAgain((entries) =>
      entries.splice(
        0,
        SIZE,
        ...sampleLog(SIZE - 1).entries.map((_, seq) =>
          seq < 20 ? entryAt(seq) : entryAt(seq, { recordedAt: `2026-03-01T12:00:01.${String(seq).padStart(6, '0')}Z` }),
        ),
      ),
    ),
  ],
  ['an older checkpoint over all records', checkpoint(checkpointOver(BASE.entries.slice(0, 599)))],
  ['an older log instead of the present one', () => ({ vkey: LOG_VKEY, files: filesOf(sampleLog(500)), kept: BASE.checkpoint })],
  ['another size than was signed', checkpoint(BASE.checkpoint.replace('\n600\n', '\n599\n'))],
  ['a foreign origin', checkpoint(checkpointOver(BASE.entries, { origin: FOREIGN_ORIGIN }))],
  ['an unknown signer', checkpoint(checkpointOver(BASE.entries, { key: keyFrom(2) }))],
  ['line ends CRLF', checkpoint(BASE.checkpoint.replaceAll('\n', '\r\n'))],
  ['no signature', checkpoint(BASE.checkpoint.slice(0, BASE.checkpoint.lastIndexOf('—')))],
  ['no checkpoint', checkpoint('')],
  ['a tile that is narrower than its name', files((of) => of.set('tile/entries/001', of.get('tile/entries/002.p/88')!))],
  ['a tile under the name of another width', files((of) => rename(of, 'tile/entries/002.p/88', 'tile/entries/002.p/87'))],
  ['a part that is called full', files((of) => rename(of, 'tile/entries/002.p/88', 'tile/entries/002'))],
  ['a tile cut off within an entry', files((of) => of.set('tile/entries/001', of.get('tile/entries/001')!.slice(0, -1)))],
  ['a tile with more behind it', files((of) => of.set('tile/entries/001', Buffer.concat([of.get('tile/entries/001')!, Buffer.alloc(2)])))],
  ['a tile missing', files((of) => of.delete('tile/entries/001'))],
  ['the first records gone, their hashes kept, and no record of it', files((of) => of.delete('tile/entries/000'))],
  [
    'two tiles swapped',
    files((of) =>
      [of.get('tile/entries/000')!, of.get('tile/entries/001')!].reverse().forEach((tile, i) => of.set(`tile/entries/00${i}`, tile)),
    ),
  ],
];
