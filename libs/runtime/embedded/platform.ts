import { join } from 'node:path';
import { inheritedEnvironment } from '../config.js';
import { builtProgram, checkoutRoot } from '../paths.js';
import { type DataDir, openDataDir } from './data-dir.js';
import { choosePorts, type PlatformPorts } from './ports.js';
import { EmbeddedPostgres } from './postgres.js';
import {
  custodianEnv,
  custodianPlans,
  DATABASE_ROLES,
  type EnvOf,
  localUrl,
  planeEnv,
  planePlans,
  type Surroundings,
} from './process-plans.js';
import { keyPairFiles, passwordsFile, randomBytesFile, randomSecretFile } from './secret-files.js';
import { prepareSoftHsm } from './softhsm.js';
import { runOnce } from './spawn.js';
import { lockDataDir } from './starter-lock.js';
import { SupervisedProcess } from './supervised-process.js';

export interface PlatformOptions {
  readonly dataDir: string;
  /** `fixed` by default: the documented ports. */
  readonly ports?: 'fixed' | 'free';
  /** One by default. */
  readonly dataPlanes?: number;
  /** One by default. Each further one, over the same token, serves the data plane of its number; the first one everybody else. */
  readonly custodians?: number;
  /** Extra variables for every process, for tests. */
  readonly env?: Readonly<Record<string, string>>;
  /** What a process is started with instead of that, by its name; for tests. */
  readonly envOf?: EnvOf;
}

/** A running platform: custodian, planes and worker on embedded PostgreSQL and SoftHSM. */
export interface Platform {
  readonly urls: { readonly keyPlane: string; readonly dataPlanes: readonly string[]; readonly auditor: string; readonly worker: string };
  readonly dataDir: DataDir;
  /** 0600 file with the first operator's credential. */
  readonly credentialsFile: string;
  /** Superuser URL of the database `keyward`, for tests and the demo's tampering. Holds a password: never log it. */
  readonly superuserUrl: string;
  readonly postgres: EmbeddedPostgres;
  /** By name: `custodian`, `custodian-2` …, `key-plane`, `data-plane-1` …, `auditor`, `worker`. */
  readonly processes: ReadonlyMap<string, SupervisedProcess>;
  /** Stops everything in reverse order; once. */
  stop(): Promise<void>;
}

const DATABASE = 'keyward';

/**
 * Starts everything in order, each part once the one before it is ready. A start that fails stops what had started.
 * @throws Error that names the part and its log file
 */
export async function startPlatform(options: PlatformOptions): Promise<Platform> {
  const dataDir = openDataDir(options.dataDir);
  const undo: (() => Promise<void> | void)[] = [lockDataDir(dataDir.file('starter.lock'))];
  let stopping: Promise<void> | undefined;
  const stop = () => (stopping ??= inReverse(undo));
  try {
    return { ...(await startParts(options, dataDir, undo)), dataDir, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

function metricsToken(dataDir: DataDir): string {
  const file = dataDir.file('metrics-token');
  randomSecretFile(file);
  return file;
}

type Undo = (() => Promise<void> | void)[];

async function startParts(options: PlatformOptions, dataDir: DataDir, undo: Undo): Promise<Omit<Platform, 'stop' | 'dataDir'>> {
  const { custodians = 1, envOf = (_, env) => env } = options;
  const ports = await choosePorts(options.ports ?? 'fixed', options.dataPlanes ?? 1);
  const [hsm, postgres] = await Promise.all([prepareSoftHsm({ dataDir }), startPostgres(dataDir, ports, undo)]);
  const passwords = passwordsFile(dataDir.file('role-passwords.json'), DATABASE_ROLES);
  const around: Surroundings = {
    ...{ dataDir, hsm, ports, custodians, envOf, extraEnv: options.env ?? {} },
    pepperFile: randomBytesFile(dataDir.file('pepper')),
    metricsTokenFile: metricsToken(dataDir),
    workerKey: keyPairFiles(dataDir.file('worker-key')),
    databaseUrl: (role) => postgres.urlFor(role, passwords[role], DATABASE),
  };
  await Promise.all([provisionDatabase(around, postgres), initialiseToken(around)]);
  const processes = new Map<string, SupervisedProcess>();
  await Promise.all(custodianPlans(around).map((plan) => startProcess(plan, processes, undo)));
  const credentialsFile = dataDir.file('credentials.json');
  await bootstrap(around, credentialsFile);
  // The key plane first: what a restored database forgot is stopped before anything is served. The others do not depend on one another.
  const [keyPlane, ...others] = planePlans(around);
  await startProcess(keyPlane!, processes, undo);
  await Promise.all(others.map((plan) => startProcess(plan, processes, undo)));
  return { urls: urlsOf(ports), credentialsFile, superuserUrl: postgres.superuserUrl(DATABASE), postgres, processes };
}

async function startPostgres(dataDir: DataDir, ports: PlatformPorts, undo: Undo): Promise<EmbeddedPostgres> {
  const postgres = await EmbeddedPostgres.start({ dataDir, port: ports.postgres });
  undo.push(() => postgres.stop());
  return postgres;
}

async function startProcess(plan: ConstructorParameters<typeof SupervisedProcess>[0], started: Map<string, SupervisedProcess>, undo: Undo) {
  const supervised = new SupervisedProcess(plan);
  started.set(plan.name, supervised);
  undo.push(() => supervised.stop());
  await supervised.start();
}

/** Creates roles and the database where they are missing, and migrates. */
function provisionDatabase({ dataDir }: Surroundings, postgres: EmbeddedPostgres): Promise<void> {
  return step('provisioning the database', dataDir, builtProgram('cli', 'provision/roles-and-migrations.js'), {
    ...inheritedEnvironment(),
    KEYWARD_SUPERUSER_URL: postgres.superuserUrl(),
    KEYWARD_ROLE_PASSWORDS_FILE: dataDir.file('role-passwords.json'),
  });
}

/** Initialises the token through PKCS#11 where it does not exist yet. */
function initialiseToken(around: Surroundings): Promise<void> {
  return step('initialising the token', around.dataDir, builtProgram('custodian', 'init-token.js'), custodianEnv(around));
}

/** Creates tenant `platform` and the first operator's credential where they are missing. */
function bootstrap(around: Surroundings, credentialsFile: string): Promise<void> {
  return step('creating the first credential', around.dataDir, builtProgram('key-plane', 'bootstrap.js'), {
    ...planeEnv(around, 'keyward_key_plane', around.ports.keyPlane),
    KEYWARD_CREDENTIALS_FILE: credentialsFile,
  });
}

function step(label: string, dataDir: DataDir, program: string, env: Record<string, string>): Promise<void> {
  const command = [process.execPath, '--disable-sigusr1', '--enable-source-maps', program];
  return runOnce(label, command, { env, cwd: checkoutRoot, logFile: join(dataDir.logs, 'set-up.log') });
}

function urlsOf(ports: PlatformPorts): Platform['urls'] {
  return {
    keyPlane: localUrl(ports.keyPlane),
    dataPlanes: ports.dataPlanes.map(localUrl),
    auditor: localUrl(ports.auditor),
    worker: localUrl(ports.worker),
  };
}

/** Every step runs, whatever the ones before it did; the first failure is told at the end. */
async function inReverse(undo: Undo): Promise<void> {
  const failures: unknown[] = [];
  for (const next of undo.reverse()) {
    try {
      await next();
    } catch (error) {
      failures.push(error);
    }
  }
  if (failures.length > 0) throw failures[0];
}
