import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { checkoutPath, demoDataDir, type Platform, startPlatform } from '#runtime';
import { EXIT, UsageError } from '../exit-codes.js';
import type { Stage } from './cast.js';
import { emptyDataDir } from './empty-data-dir.js';
import { NotAsExpected } from './expectation.js';
import { narrate, seconds } from './narrate.js';
import { tellProgress } from './progress.js';
import { writeSampleFile } from './sample-file.js';
import { onboarding } from './step-1-onboarding.js';
import { keyAndGrant } from './step-2-key-and-grant.js';
import { realFile } from './step-3-real-file.js';
import { refusals } from './step-4-refusals.js';
import { stopAndLift } from './step-5-stop.js';
import { proof } from './step-6-proof.js';

/** `npm run demo`: the main job on real parts. Ends with 0 only if every step was as it should be. */
const started = performance.now();
const dataDir = demoDataDir();
let starting: Promise<Platform> | undefined;
let isInterrupted = false;
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => void interrupted());
process.exitCode = await demo();

async function demo(): Promise<number> {
  try {
    const sample = sampleGiven();
    emptyDataDir(dataDir);
    const platform = await start();
    try {
      await play({ platform, file: (name) => join(dataDir, name) }, sample);
    } finally {
      await platform.stop();
    }
    conclude();
    return 0;
  } catch (error) {
    // What fails because everything is being stopped is no news.
    if (!isInterrupted) tellFailure(error);
    return error instanceof UsageError ? EXIT.usage : EXIT.defect;
  }
}

function sampleGiven(): string | undefined {
  const { file } = parseArgs({ options: { file: { type: 'string' } } }).values;
  if (file !== undefined && !existsSync(file)) throw new UsageError(`${file} cannot be read.`);
  return file;
}

async function start(): Promise<Platform> {
  narrate.plain('Keyward: a customer holds its own key. Starting everything on this machine, in a data directory of its own:');
  const ended = tellProgress(dataDir);
  try {
    starting = startPlatform({ dataDir, ports: 'free' });
    const platform = await starting;
    const { keyPlane, dataPlanes, auditor } = platform.urls;
    narrate.line(
      `up after ${seconds(performance.now() - started)}: key-plane ${keyPlane}, data-plane ${dataPlanes.join(' ')}, auditor ${auditor}`,
    );
    return platform;
  } finally {
    ended();
  }
}

async function play(stage: Stage, given: string | undefined): Promise<void> {
  const sample = given ?? stage.file('sample');
  if (given === undefined) writeSampleFile(sample);
  const cast = await onboarding(stage);
  const keys = await keyAndGrant(cast);
  const ciphertext = await realFile(stage, cast, sample);
  const refused = await refusals(cast, keys, ciphertext);
  await stopAndLift(cast);
  await proof(stage, cast, refused);
  cast.billing.close();
}

function conclude(): void {
  narrate.plain(`\nEverything was as it should be, in ${seconds(performance.now() - started)}. The platform is stopped; look at`);
  narrate.line(`${dataDir}: the two bundles, the files; logs/ has one log a process`);
  narrate.line('npx keyward verify <bundle>: the same verification by hand, exit code 6 for the forged one');
  narrate.line(`${checkoutPath('docs', 'life-of-a-data-key.md')}: one call through all of the code`);
  narrate.line(`${checkoutPath('docs', 'threat-model.md')}: what this does not protect from; here all processes run as one user, so`);
  narrate.line('planes are not isolated from each other, and SoftHSM keeps keys in files');
  narrate.line('npm start: the same platform, and it stays up');
}

function tellFailure(error: unknown): void {
  const say = (text: string) => process.stderr.write(`${text}\n`);
  if (error instanceof UsageError) return void say(error.message);
  say('\nThe demo failed.');
  if (error instanceof NotAsExpected) {
    say(`  what      ${error.what}\n  expected  ${error.expected}\n  actual    ${error.actual}`);
  } else {
    say(`  ${error instanceof Error ? `${error.name}: ${error.message}` : 'unknown error'}`);
  }
  say(`  logs      ${join(dataDir, 'logs')}`);
}

/** Ctrl-C: nothing stays behind, however far the start has come. A terminal and npm may both deliver it. */
async function interrupted(): Promise<void> {
  if (isInterrupted) return;
  isInterrupted = true;
  process.stderr.write('\nStopping.\n');
  await starting?.then((platform) => platform.stop()).catch(() => undefined);
  process.exit(130);
}
