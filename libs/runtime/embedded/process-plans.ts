import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { inheritedEnvironment } from '../config.js';
import { builtProgram, checkoutRoot } from '../paths.js';
import { type DataDir, makeFolder } from './data-dir.js';
import type { PlatformPorts } from './ports.js';
import { acceptsConnections, answersReady } from './readiness.js';
import type { HsmSettings } from './softhsm.js';
import type { ProcessPlan } from './supervised-process.js';

/** Roles of the database that the platform's processes use; `keyward_owner` only migrates. */
export const DATABASE_ROLES = ['keyward_owner', 'keyward_key_plane', 'keyward_data_plane', 'keyward_auditor', 'keyward_worker'] as const;
export type DatabaseRole = (typeof DATABASE_ROLES)[number];

/** What a process is started with, by its name, given what it would be started with. */
export type EnvOf = (process: string, env: Readonly<Record<string, string>>) => Readonly<Record<string, string>>;

/** What the plans of all processes are made from. */
export interface Surroundings {
  readonly dataDir: DataDir;
  readonly hsm: HsmSettings;
  readonly ports: PlatformPorts;
  readonly pepperFile: string;
  readonly metricsTokenFile: string;
  readonly workerKey: { readonly publicKeyFile: string; readonly privateKeyFile: string };
  readonly databaseUrl: (role: DatabaseRole) => string;
  /** Extra variables for every process, for tests. */
  readonly extraEnv: Readonly<Record<string, string>>;
  readonly custodians: number;
  readonly envOf: EnvOf;
}

/** Sockets of the custodian, one per plane, each in a folder of its own. */
export const CUSTODIAN_SOCKETS = ['key/key.sock', 'data/data.sock', 'worker/worker.sock'] as const;

/** The environment of whatever opens the token. */
export const tokenEnv = (hsm: HsmSettings): Record<string, string> => ({
  ...inheritedEnvironment(),
  KEYWARD_HSM_MODULE: hsm.module,
  KEYWARD_HSM_TOKEN: hsm.tokenLabel,
  KEYWARD_HSM_PIN_FILE: hsm.pinFile,
  SOFTHSM2_CONF: hsm.configFile,
});

/** The environment of the token initialiser and the custodian. */
export function custodianEnv({ dataDir, hsm, extraEnv }: Surroundings): Record<string, string> {
  return {
    ...tokenEnv(hsm),
    KEYWARD_HSM_SO_PIN_FILE: hsm.soPinFile,
    KEYWARD_SOCKET_DIR: dataDir.sockets,
    KEYWARD_CUSTODIAN_STATE_DIR: dataDir.custodian,
    KEYWARD_METRICS_FILE: join(dataDir.custodian, 'custodian.prom'),
    KEYWARD_EXIT_WITH_PARENT: '1',
    ...extraEnv,
  };
}

/** One of several over the same token: each has sockets and kept files of its own. */
export function custodianPlans(around: Surroundings): ProcessPlan[] {
  return Array.from({ length: around.custodians }, (_, index) => {
    const [name, own] =
      index === 0 ? ['custodian', around] : [`custodian-${index + 1}`, { ...around, dataDir: ofCustodian(around, index) }];
    const sockets = CUSTODIAN_SOCKETS.map((path) => join(own.dataDir.sockets, path));
    return {
      ...planFor(around, name, 'custodian'),
      env: around.envOf(name, custodianEnv(own)),
      isReady: async () => (await Promise.all(sockets.map(accepts))).every(Boolean),
    };
  });
}

const accepts = (path: string) => (existsSync(path) ? acceptsConnections(path) : Promise.resolve(false));

/** The data directory as a custodian after the first sees it. */
function ofCustodian({ dataDir }: Surroundings, index: number): DataDir {
  const folder = (parent: string) => makeFolder(join(parent, String(index + 1)), 0o700);
  const sockets = folder(dataDir.sockets);
  for (const path of CUSTODIAN_SOCKETS) makeFolder(join(sockets, dirname(path)), 0o700);
  return { ...dataDir, sockets, custodian: folder(dataDir.custodian) };
}

/** The environment of one plane, with its own database role and port. */
export function planeEnv(around: Surroundings, role: DatabaseRole, port: number): Record<string, string> {
  return {
    ...inheritedEnvironment(),
    KEYWARD_LISTEN: `127.0.0.1:${port}`,
    KEYWARD_DATABASE_URL: around.databaseUrl(role),
    KEYWARD_PEPPER_FILE: around.pepperFile,
    KEYWARD_METRICS_TOKEN_FILE: around.metricsTokenFile,
    KEYWARD_EXIT_WITH_PARENT: '1',
    ...(role === 'keyward_key_plane' && { KEYWARD_WORKER_PUBLIC_KEY_FILE: around.workerKey.publicKeyFile }),
    ...(role === 'keyward_worker' && { KEYWARD_WORKER_PRIVATE_KEY_FILE: around.workerKey.privateKeyFile }),
    ...(role === 'keyward_auditor' ? {} : { KEYWARD_SOCKET_DIR: around.dataDir.sockets }),
    ...around.extraEnv,
  };
}

/** Every process after the custodian, in the order they are started. */
export function planePlans(around: Surroundings): ProcessPlan[] {
  const { ports } = around;
  const plan = (name: string, app: string, role: DatabaseRole, port: number, custodian = 0): ProcessPlan => ({
    ...planFor(around, name, app),
    env: around.envOf(name, planeEnv(custodian === 0 ? around : { ...around, dataDir: ofCustodian(around, custodian) }, role, port)),
    isReady: () => answersReady(localUrl(port)),
  });
  return [
    plan('key-plane', 'key-plane', 'keyward_key_plane', ports.keyPlane),
    ...ports.dataPlanes.map((port, index) =>
      plan(`data-plane-${index + 1}`, 'data-plane', 'keyward_data_plane', port, index < around.custodians ? index : 0),
    ),
    plan('auditor', 'auditor', 'keyward_auditor', ports.auditor),
    plan('worker', 'worker', 'keyward_worker', ports.worker),
  ];
}

export const localUrl = (port: number) => `http://127.0.0.1:${port}`;

/** What is seldom busy needs little room for young objects: V8 would keep tens of MB for them in each process. */
const SELDOM_BUSY = ['--max-semi-space-size=4'];

function planFor({ dataDir }: Surroundings, name: string, app: string) {
  const nodeFlags = app === 'data-plane' ? [] : SELDOM_BUSY;
  return { name, nodeFlags, program: builtProgram(app, 'main.js'), cwd: checkoutRoot, logFile: join(dataDir.logs, `${name}.log`) };
}
