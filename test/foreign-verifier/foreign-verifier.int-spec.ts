import { tiledLog, type VerificationReport, verifyLog } from '#trail';
import { type Exhibit, genuine, MUTATIONS } from './corpus.js';
import { ForeignVerifier } from './foreign-verifier.js';

const ours = ({ vkey, files, kept }: Exhibit): Promise<VerificationReport> => {
  const checkpoint = Buffer.from(files.get('checkpoint')!).toString();
  return verifyLog(async () => tiledLog({ checkpoint, vkeys: [], checkpoints: [] }, async (path) => files.get(path)), {
    vkey,
    since: kept,
  });
};

describe("Go's own note and tlog", () => {
  let foreign: ForeignVerifier;
  beforeAll(async () => {
    foreign = await ForeignVerifier.compiled();
  }, 300_000);
  afterAll(() => foreign?.remove());

  const theirs = ({ vkey, files, kept }: Exhibit) => foreign.verify(vkey, files, kept);

  it.each([1, 255, 256, 257, 600])('and our verifier say that a log of %i records stands', async (size) => {
    expect(theirs(genuine(size))).toEqual({ exit: 0, said: `OK: ${size} records` });
    expect(await ours(genuine(size))).toMatchObject({ status: 'verified', size, pinned: true });
  });

  it.each(MUTATIONS)('and our verifier refuse %s', async (_, make) => {
    expect(theirs(make())).toEqual({ exit: 6, said: expect.stringMatching(/^FAILED: ./) });
    expect(await ours(make())).toMatchObject({ status: 'failed' });
  });
});
