import { type ChildProcess } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseCiphertext } from '#core';
import { KeywardAdmin, KeywardClient, KeywardError } from '#sdk';
import { parseVkey, verifyCertificate } from '#trail';
import { kill9, VICTIMS } from '../faults/rewrap-victims.js';
import { foreground } from './foreground.js';
import { AT_ONCE, IsvTable } from './isv-table.js';
import { type Bench, type BenchOptions, percentile, type Result, rounded } from './result.js';
import { startWorld, type World } from './world.js';

const ITEMS = Number(process.env['KEYWARD_BENCH_REWRAP_ITEMS'] ?? 1_000_000);
const FASTEST = 100_000;
/** What is killed comes back within seconds. */
const PATIENT = { attempts: 100, totalMs: 60_000 };

/**
 * EDKs a second of a re-wrap, beside re-encryption in batches of the same size without a project, both while others call; and what it does
 * to these others. That is measured over the first half; in the second ten are killed, one after the other, and at the end every one must be
 * under the new version, written back once, counted once, and certified.
 */
export const rewrap: Bench = async (options) => {
  const world = await startWorld();
  const client = new KeywardClient({ apiKey: world.apiKey, url: world.platform.urls.dataPlanes[0]!, ...PATIENT });
  try {
    return await measured(world, client, options);
  } finally {
    client.close();
    await world.stop();
  }
};

interface Project {
  readonly operationId: string;
  readonly toVersionId: string;
}

async function measured(world: World, client: KeywardClient, { seconds, log }: BenchOptions): Promise<Result[]> {
  const table = await filled(client, world);
  log(`rewrap: ${ITEMS} data keys are there`);
  const beforehand = foreground(client, world);
  const plain = await reEncrypting(client, world, table, seconds);
  await beforehand.end();
  const alone = foreground(client, world);
  await sleep(seconds * 1000);
  const without = await alone.end();

  const project = await started(world);
  const beside = foreground(client, world);
  const begun = performance.now();
  const service = serviceOf(world, table, project);
  let done = 0;
  for (; done < ITEMS / 2; await sleep(50)) done = await counted(world);
  const rate = done / ((performance.now() - begun) / 1000);
  const during = await beside.end();
  log(`rewrap: ${done} moved; now ${VICTIMS.length} are killed`);
  const kills = await survived(world, client, table, project, service);
  const elapsed = (performance.now() - begun) / 1000;
  log(`rewrap: ${ITEMS} data keys in ${elapsed.toFixed(1)} s`);
  await mustBeMoved(world, table, project);
  const [p99, p99Alone] = [percentile(during, 0.99), percentile(without, 0.99)];
  return [
    {
      ...{ name: 'rewrap', value: Math.round(rate), unit: 'EDKs/s', baseline: Math.round(plain), ratio: rounded(rate / plain, 3) },
      ...{ inAll: ITEMS, kills, seconds: Math.round(elapsed) },
    },
    {
      ...{ name: 'rewrap-foreground', value: rounded(p99, 2), unit: 'ms p99 of GenerateDataKey' },
      ...{ baseline: rounded(p99Alone, 2), ratio: rounded(p99 / p99Alone, 3) },
      ...{ p50Ms: rounded(percentile(during, 0.5), 2), p99Ms: rounded(p99, 2), p50MsWithout: rounded(percentile(without, 0.5), 2) },
    },
  ];
}

async function filled(client: KeywardClient, { call: { keyId, encryptionContext: context } }: World): Promise<IsvTable> {
  const table = new IsvTable(ITEMS);
  for (let row = 0; row < ITEMS; row += AT_ONCE) {
    const asked = Array.from({ length: Math.min(AT_ONCE, ITEMS - row) }, () => ({ keyId, context }));
    for (const [index, made] of (await client.generateDataKeyBatch('acme', asked)).entries()) {
      if ('error' in made) throw made.error;
      made.plaintext.fill(0);
      table.set(row + index, made.ciphertext);
    }
  }
  return table;
}

/** Items a second, one batch after the other. */
async function reEncrypting(client: KeywardClient, { call }: World, table: IsvTable, seconds: number): Promise<number> {
  const { keyId: destinationKeyId, encryptionContext: context } = call;
  const items = table.page(0).edks.map((ciphertext) => ({
    ...{ ciphertext, sourceContext: context },
    ...{ destinationKeyId, destinationContext: context },
  }));
  const begun = performance.now();
  let count = 0;
  while (performance.now() - begun < seconds * 1000) {
    const answers = await client.reEncryptBatch('acme', items);
    for (const answer of answers) if ('error' in answer) throw answer.error;
    count += answers.length;
  }
  return count / ((performance.now() - begun) / 1000);
}

const adminOf = ({ platform: { urls }, admin: apiKey }: World) => new KeywardAdmin({ apiKey, keyPlane: urls.keyPlane, ...PATIENT });

/** A new version, and the project that moves everything to it. */
async function started(world: World): Promise<Project> {
  const admin = adminOf(world);
  const { items } = await admin.listKeys('acme');
  const { keyId, primaryVersion: fromVersionId } = items[0]!;
  const { primaryVersion: toVersionId } = await admin.createKeyVersion('acme', keyId, {});
  const { operationId } = await admin.startRewrap('acme', keyId, { fromVersionId, service: 'billing', itemsPerSecond: FASTEST });
  return { operationId, toVersionId };
}

const serviceOf = ({ apiKey, platform: { urls }, call }: World, table: IsvTable, { operationId }: Project): ChildProcess =>
  table.movedBy({ apiKey, url: urls.dataPlanes[0]!, operationId, context: call.encryptionContext });

const counted = async ({ database }: World): Promise<number> =>
  Number((await database.query<{ done: string }>('SELECT done FROM keyward.rewrap')).rows[0]?.done);

/** The rest of it, while one after the other is killed and what is under either version must open. Answers how many were. */
async function survived(world: World, client: KeywardClient, table: IsvTable, project: Project, first: ChildProcess): Promise<number> {
  let isOver = false;
  const refused = opening(client, world, table, () => isOver);
  let [kills, service] = [0, first];
  try {
    while (service.exitCode !== 0) {
      if (service.exitCode !== null) throw new Error('The service ended before it was done.');
      if (service.signalCode !== null) service = serviceOf(world, table, project);
      const victim = VICTIMS[kills];
      if (victim !== undefined && (await counted(world)) >= ITEMS * (0.5 + (kills + 1) / (3 * VICTIMS.length))) {
        kill9(victim, world.platform, service);
        kills += 1;
      }
      await sleep(50);
    }
  } finally {
    isOver = true;
    service.kill('SIGKILL');
  }
  const errors = await refused;
  if (errors.length > 0) throw new Error(`Refused meanwhile: ${errors.join(', ')}`);
  return kills;
}

/** One row after the other. Answers what did not open, though nothing was away. */
async function opening(client: KeywardClient, { call }: World, table: IsvTable, isOver: () => boolean): Promise<string[]> {
  const refused: string[] = [];
  for (let row = 0; !isOver(); row = (row + Math.ceil(ITEMS / 97)) % ITEMS) {
    try {
      const ciphertext = Buffer.from(table.edk(row));
      (await client.decrypt({ tenant: 'acme', ciphertext, context: call.encryptionContext })).plaintext.fill(0);
    } catch (error) {
      if (!(error instanceof KeywardError && error.retryable)) refused.push(String(error));
    }
  }
  return refused;
}

/** @throws Error unless every row is, and the project, its certificate and the log say so */
async function mustBeMoved(world: World, table: IsvTable, { operationId, toVersionId }: Project): Promise<void> {
  const admin = adminOf(world);
  const must = (isSo: boolean, what: string) => {
    if (!isSo) throw new Error(`After the re-wrap: ${what}.`);
  };
  for (let row = 0; row < ITEMS; row++)
    must(table.writes[row] === 1 && parseCiphertext(table.edk(row)).versionId === toVersionId, `row ${row} is not moved, or twice`);
  const { state, progress } = await admin.describeOperation('acme', operationId);
  must(state === 'succeeded' && progress.done === ITEMS && progress.failed === 0, `${state}, ${JSON.stringify(progress)}`);
  const { rows: keys } = await world.database.query<{ vkey: string }>(`SELECT vkey FROM keyward.log WHERE tenant_id = 'acme'`);
  const { certificate } = await admin.completionCertificate('acme', operationId);
  const { population, moved, kept, failed } = await verifyCertificate(
    certificate,
    keys.map(({ vkey }) => parseVkey(vkey)),
  );
  must(population === ITEMS && moved + kept === ITEMS && failed === 0, `the certificate tells ${moved} + ${kept} of ${population}`);
}
