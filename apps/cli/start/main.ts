import { existsSync } from 'node:fs';
import { defaultDataDir, loadConfig, type Platform, startPlatform } from '#runtime';
import { noteAddresses } from '../credentials-file.js';
import { takenPorts } from './free-ports.js';

/** `npm start`: the embedded platform, until it is told to end. */
const say = (text: string) => process.stdout.write(`${text}\n`);
let starting: Promise<Platform> | undefined;
let stopping: Promise<void> | undefined;
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => void (stopping ??= stop()));

try {
  const { dataDir = defaultDataDir() } = loadConfig('cli');
  say(`Starting Keyward in ${dataDir} (PostgreSQL, SoftHSM, custodian, planes, worker) …`);
  const taken = await takenPorts();
  if (taken.length > 0) say(`Something listens on ${taken.join(', ')} already: taking free ports instead.`);
  starting = startPlatform({ dataDir, ports: taken.length > 0 ? 'free' : 'fixed' });
  const platform = await starting;
  const { keyPlane, dataPlanes, auditor } = platform.urls;
  // Restored without it: the operator has it elsewhere.
  const hasCredential = existsSync(platform.credentialsFile);
  if (hasCredential) noteAddresses(platform.credentialsFile, { keyPlane, dataPlane: dataPlanes[0] ?? '', auditor });
  announce(platform, hasCredential);
  setInterval(() => undefined, 1 << 30); // stays up
} catch (error) {
  process.stderr.write(`Keyward did not start: ${error instanceof Error ? error.message : 'unknown error'}\n`);
  await (await starting?.catch(() => undefined))?.stop();
  process.exit(1);
}

function announce({ urls, credentialsFile, dataDir: { logs } }: Platform, hasCredential: boolean): void {
  const credential = hasCredential
    ? `The first operator's credential is in ${credentialsFile} (readable by you alone).`
    : `The first operator's credential is not here: this platform was restored without it. Put yours at ${credentialsFile}.`;
  say(`
key-plane   ${urls.keyPlane}   operators and admins
data-plane  ${urls.dataPlanes.join(' ')}   services
auditor     ${urls.auditor}   auditors
worker      ${urls.worker}   health only
Each plane describes its API at /openapi.json. Logs are in ${logs}.

${credential}
  export KEYWARD_CREDENTIALS_FILE=${credentialsFile}
  npx keyward --help

Embedded mode: all processes run as one user, so planes are not isolated from each other; SoftHSM keeps keys in files.
Ctrl-C stops everything.`);
}

/** A start in progress is awaited, so that nothing of it stays behind. */
async function stop(): Promise<void> {
  say('\nStopping.');
  try {
    await (await starting)?.stop();
    process.exit(0);
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : 'unknown error'}\n`);
    process.exit(1);
  }
}
