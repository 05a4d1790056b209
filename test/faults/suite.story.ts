import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Control, CONTROLS, LOSS, switchOff, TWICE } from './suite/controls.js';
import { type FaultWorld, startFaultWorld } from './suite/fault-world.js';
import type { Findings } from './suite/properties.js';
import { FaultRun, type RoundOptions } from './suite/round.js';

/**
 * The short run (docs/testing.md has longer ones): one fault of each family, close together. Among them are those that ended planes and
 * workers before: a full disk, and a worker whose connections are cut while it leads.
 */
const SEED = 176_362;
const FAULTS = 8;

describe('whatever goes wrong', () => {
  const folder = mkdtempSync(join(tmpdir(), 'kw-ledger-'));
  const told: string[] = [];
  const tell = (line: string) => void told.push(line);
  let world: FaultWorld;
  beforeAll(async () => {
    world = await startFaultWorld([TWICE]);
  }, 180_000);
  afterAll(async () => {
    process.stderr.write(`${told.join('\n')}\n`);
    await world?.stop();
    rmSync(folder, { recursive: true });
  }, 60_000);

  async function judged(name: string, options: Omit<RoundOptions, 'tell'>): Promise<Findings> {
    const run = await FaultRun.on(world, join(folder, `${name}.jsonl`));
    const { findings, calls, statuses } = await run.round({ ...options, tell }).finally(() => run.end());
    tell(`${name}: ${calls} calls ${JSON.stringify(statuses)}, against ${Object.keys(findings).join(', ') || 'nothing'}`);
    return findings;
  }

  const about = (findings: Findings, { property, finds }: Control) => (findings[property] ?? []).filter((line) => finds.test(line));

  it(`every property holds (seed ${SEED}), though each rotation is attempted twice at once`, async () => {
    expect(await judged('faults', { seed: SEED, faults: FAULTS })).toEqual({});
  }, 400_000);

  it('with guards switched off the same checker says so, of each its own', async () => {
    const restore = await switchOff(world, CONTROLS);
    const findings = await judged('guards off', {
      ...{ seed: SEED, faults: 0 },
      meanwhile: async (calls) => {
        for (const control of CONTROLS) await control.happen(world, calls);
        // Else nobody would ever learn that it is open again.
        await restore();
      },
    });
    for (const control of CONTROLS) expect([control.guard, about(findings, control).length > 0]).toEqual([control.guard, true]);
  }, 400_000);

  it('and of what was acknowledged before it was durable, and of what does not come back', async () => {
    await switchOff(world, [LOSS]);
    const findings = await judged('loss', {
      ...{ seed: SEED, faults: 0, patienceMs: 8000 },
      meanwhile: (calls) => LOSS.happen(world, calls),
    });
    expect(about(findings, LOSS)).not.toEqual([]);
    // The custodian signs no trail that went back.
    expect(findings.recovery).toContain('every log is signed to its end');
  }, 400_000);
});
