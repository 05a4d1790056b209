import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { consistencyProof, formatAddCheckpoint, parseCheckpoint } from '#trail';
import { hashOfOrigin } from '../../apps/cli/witness/kept-heads.js';
import { submit } from '../../apps/cli/witness/submit.js';
import { createWitness } from '../../apps/cli/witness/witness-folder.js';
import { checkpointOver, entryAt, LOG_VKEY, ORIGIN, sampleLog } from '../../libs/trail/test/sample-log.js';
import { WitnessProcess } from '../stories/witness-process.js';

const ROUNDS = 12;
const LOG = sampleLog(4 * ROUNDS).entries;
const FORK = LOG.map((entry, seq) => (seq === 0 ? entryAt(0, { body: { outcome: 'failed' } }) : entry));

const shown = (size: number, log = LOG) => ({
  checkpoint: checkpointOver(log.slice(0, size)),
  consistency: async (from: number) =>
    consistencyProof(
      log.slice(0, size).map(({ leafHash }) => leafHash),
      from,
    ),
  newestSize: async () => BigInt(size),
});

/** Killed at once when the new checkpoint is on the disk: mostly before its answer has left. */
describe('a witness that is killed -9 between keeping and answering', () => {
  let folder: string;
  let vkey: string;
  const file = () => join(folder, `${hashOfOrigin(ORIGIN)}.checkpoint`);
  const kept = () => Number(parseCheckpoint(readFileSync(file(), 'utf8')).size);
  const changed = () => statSync(file(), { throwIfNoEntry: false })?.ino;

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'kw-witness-'));
    vkey = createWitness(folder, 'witness.acme.example');
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  it('has kept whatever it cosigned, starts again, and never cosigns a fork', async () => {
    let answered = 0;
    let unanswered = 0;
    for (let round = 0; round < ROUNDS; round++) {
      const witness = await WitnessProcess.start(folder, LOG_VKEY);
      try {
        for (const log of round === 0 ? [] : [shown(4 * ROUNDS, FORK), shown(kept(), FORK)])
          await expect(submit(witness.url, log, [vkey])).rejects.toMatchObject({ name: 'SubmissionRefused' });
        if (round > 0) expect(kept()).toBeGreaterThanOrEqual(answered);
        await submit(witness.url, shown(4 * round + 2), [vkey]);
        answered = 4 * round + 2;
        const before = changed();
        const last = submitted(witness.url, answered, answered + 2);
        for (const deadline = performance.now() + 10_000; changed() === before; await new Promise(setImmediate))
          if (performance.now() > deadline) throw new Error('Nothing was kept.');
        witness.child.kill('SIGKILL');
        if ((await last) === 200) answered += 2;
        else unanswered++;
        expect(kept()).toBe(4 * round + 4);
      } finally {
        await witness.end('SIGKILL');
      }
    }
    process.stderr.write(`witness kills: ${unanswered} of ${ROUNDS} without an answer\n`);
  }, 120_000);

  /** Undefined where no answer came. */
  async function submitted(url: string, oldSize: number, size: number): Promise<number | undefined> {
    const { checkpoint, consistency } = shown(size);
    const body = formatAddCheckpoint({ oldSize, proof: await consistency(oldSize), checkpoint });
    return fetch(`${url}/add-checkpoint`, { method: 'POST', body }).then(
      ({ status }) => status,
      () => undefined,
    );
  }
});
