import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { inheritedEnvironment } from '../config.js';
import { builtProgram, checkoutRoot } from '../paths.js';
import type { DataDir } from './data-dir.js';
import type { PlatformPorts } from './ports.js';
import { acceptsConnections, answersReady } from './readiness.js';
import type { HsmSettings } from './softhsm.js';
import type { ProcessPlan } from './supervised-process.js';

/** Roles of the database that the platform's processes use; `keyward_owner` only migrates. */
export const DATABASE_ROLES = ['keyward_owner', 'keyward_key_plane', 'keyward_data_plane', 'keyward_auditor', 'keyward_worker'] as const;
export type DatabaseRole = (typeof DATABASE_ROLES)[number];

/** What the plans of all processes are made from. */
export interface Surroundings {
  readonly dataDir: DataDir;
  readonly hsm: HsmSettings;
  readonly ports: PlatformPorts;
  readonly pepperFile: string;
  readonly workerKey: { readonly publicKeyFile: string; readonly privateKeyFile: string };
  readonly databaseUrl: (role: DatabaseRole) => string;
  /** Extra variables for every process, for tests. */
  readonly extraEnv: Readonly<Record<string, string>>;
}

/** Sockets of the custodian, one per plane, each in a folder of its own. */
export const CUSTODIAN_SOCKETS = ['key/key.sock', 'data/data.sock', 'worker/worker.sock'] as const;

/** The environment of the token initialiser and the custodian. */
export function custodianEnv({ dataDir, hsm, extraEnv }: Surroundings): Record<string, string> {
  return {
    ...inheritedEnvironment(),
    KEYWARD_HSM_MODULE: hsm.module,
    KEYWARD_HSM_TOKEN: hsm.tokenLabel,
    KEYWARD_HSM_PIN_FILE: hsm.pinFile,
    KEYWARD_HSM_SO_PIN_FILE: hsm.soPinFile,
    SOFTHSM2_CONF: hsm.configFile,
    KEYWARD_SOCKET_DIR: dataDir.sockets,
    KEYWARD_CUSTODIAN_STATE_DIR: dataDir.custodian,
    KEYWARD_EXIT_WITH_PARENT: '1',
    ...extraEnv,
  };
}

export function custodianPlan(around: Surroundings): ProcessPlan {
  const sockets = CUSTODIAN_SOCKETS.map((path) => join(around.dataDir.sockets, path));
  const accepts = (path: string) => (existsSync(path) ? acceptsConnections(path) : Promise.resolve(false));
  return {
    ...planFor(around, 'custodian', 'custodian'),
    env: custodianEnv(around),
    isReady: async () => (await Promise.all(sockets.map(accepts))).every(Boolean),
  };
}

/** The environment of one plane, with its own database role and port. */
export function planeEnv(around: Surroundings, role: DatabaseRole, port: number): Record<string, string> {
  return {
    ...inheritedEnvironment(),
    KEYWARD_LISTEN: `127.0.0.1:${port}`,
    KEYWARD_DATABASE_URL: around.databaseUrl(role),
    KEYWARD_PEPPER_FILE: around.pepperFile,
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
  const plan = (name: string, app: string, role: DatabaseRole, port: number): ProcessPlan => ({
    ...planFor(around, name, app),
    env: planeEnv(around, role, port),
    isReady: () => answersReady(localUrl(port)),
  });
  return [
    plan('key-plane', 'key-plane', 'keyward_key_plane', ports.keyPlane),
    ...ports.dataPlanes.map((port, index) => plan(`data-plane-${index + 1}`, 'data-plane', 'keyward_data_plane', port)),
    plan('auditor', 'auditor', 'keyward_auditor', ports.auditor),
    plan('worker', 'worker', 'keyward_worker', ports.worker),
  ];
}

export const localUrl = (port: number) => `http://127.0.0.1:${port}`;

function planFor({ dataDir }: Surroundings, name: string, app: string) {
  return { name, program: builtProgram(app, 'main.js'), cwd: checkoutRoot, logFile: join(dataDir.logs, `${name}.log`) };
}
