import { sign } from 'node:crypto';
import {
  cosignature,
  cosignaturesOf,
  cosignedBytes,
  parseNote,
  parseVkey,
  parseWitnessKey,
  signatureLine,
  verifyBundle,
  vkey,
  witnessKey,
} from './index.js';
import { bundleOf, checkpointOver, keyFrom, LOG_VKEY, sampleLog } from './test/sample-log.js';

const LOG = sampleLog(20);
const keys = { anna: keyFrom(11), otto: keyFrom(12) };
const key = (name: keyof typeof keys) => witnessKey(name, keys[name].publicKey);
const by = (name: keyof typeof keys, checkpoint: string, time = 1_772_366_400): string => {
  const signature = sign(null, cosignedBytes(parseNote(checkpoint).body, time), keys[name].privateKey);
  return signatureLine(cosignature(name, keys[name].publicKey, time, signature));
};
const witnesses = (quorum: number) => ({ keys: [key('anna'), key('otto')], quorum });
const verify = async (checkpoint: string, quorum: number, since?: string) =>
  verifyBundle(await bundleOf({ ...LOG, checkpoint }), { vkey: LOG_VKEY, since, witnesses: witnesses(quorum) });

describe("a witness's key", () => {
  it('is none of a log, and no log’s key is one', () => {
    expect(parseWitnessKey(key('anna'))).toMatchObject({ name: 'anna' });
    expect(() => parseVkey(key('anna'))).toThrow('only Ed25519');
    expect(() => parseWitnessKey(vkey('anna', keys.anna.publicKey))).toThrow('no key of a witness');
    expect(() => parseWitnessKey(key('anna').replace('anna', 'olga'))).toThrow('its id does not fit');
  });
});

describe('cosignatures', () => {
  const body = parseNote(LOG.checkpoint).body;

  it('tell who saw the checkpoint and when, each witness once, strangers left out', async () => {
    const note = parseNote(LOG.checkpoint + by('anna', LOG.checkpoint, 5) + by('anna', LOG.checkpoint, 7) + by('otto', LOG.checkpoint, 9));
    expect(await cosignaturesOf(note, [parseWitnessKey(key('anna'))])).toEqual([{ witness: 'anna', time: 7 }]);
  });

  it('are refused when the time, the text or the length is another', async () => {
    const line = by('anna', LOG.checkpoint, 5);
    const bytes = Buffer.from(line.split(' ')[2]!, 'base64');
    const forged = (change: (copy: Buffer) => Buffer) => `— anna ${change(Buffer.from(bytes)).toString('base64')}\n`;
    const lies = [
      forged((copy) => (copy.writeUInt8(6, 11), copy)),
      forged((copy) => (copy.writeUInt8(0xff, 4), copy)),
      forged((copy) => copy.subarray(0, 76 - 1)),
      forged((copy) => copy.subarray(0, 5)),
      by('anna', checkpointOver(LOG.entries.slice(1)), 5),
    ];
    for (const lie of lies)
      await expect(cosignaturesOf(parseNote(LOG.checkpoint + lie), [parseWitnessKey(key('anna'))])).rejects.toMatchObject({
        code: 'bad-signature',
      });
    expect(parseNote(LOG.checkpoint + line).body).toBe(body);
  });
});

describe('a quorum of witnesses', () => {
  const both = LOG.checkpoint + by('anna', LOG.checkpoint) + by('otto', LOG.checkpoint);

  it('stands when enough of them cosigned the checkpoint', async () => {
    expect(await verify(both, 2)).toMatchObject({
      status: 'verified',
      witnessed: { size: 20, by: [{ witness: 'anna' }, { witness: 'otto' }] },
    });
    expect(await verify(LOG.checkpoint + by('otto', LOG.checkpoint), 1)).toMatchObject({ witnessed: { by: [{ witness: 'otto' }] } });
  });

  it('stands for the records of a cosigned checkpoint that was kept', async () => {
    const kept = checkpointOver(LOG.entries.slice(0, 12));
    expect(await verify(LOG.checkpoint, 1, kept + by('anna', kept))).toMatchObject({ status: 'verified', witnessed: { size: 12 } });
  });

  it.each([
    ['nobody cosigned', LOG.checkpoint, 1],
    ['one is not enough', LOG.checkpoint + by('anna', LOG.checkpoint), 2],
    ['one cosigned twice', LOG.checkpoint + by('anna', LOG.checkpoint, 1) + by('anna', LOG.checkpoint, 2), 2],
  ])('does not when %s', async (_, checkpoint, quorum) => {
    expect(await verify(checkpoint, quorum)).toMatchObject({ status: 'failed', code: 'too-few-witnesses' });
  });

  it('does not when a cosignature is of another text', async () => {
    expect(await verify(LOG.checkpoint + by('anna', checkpointOver(LOG.entries.slice(1))), 1)).toMatchObject({ code: 'bad-signature' });
  });
});
