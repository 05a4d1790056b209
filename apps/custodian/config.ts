import { join } from 'node:path';
import { PLANES } from '#custody/socket';
import type { Plane } from '#custody/socket';
import { z } from 'zod';

const path = z.string().min(1);
const milliseconds = z.coerce.number().int().positive();

/** For how long copies are kept. 0: there are none; not set: nobody said, and receipts say so. */
const days = z.coerce.number().int().min(0).max(36_600).optional();

const variables = z.object({
  KEYWARD_SOCKET_DIR: path,
  KEYWARD_HSM_MODULE: path.startsWith('/', 'must be an absolute path'),
  KEYWARD_HSM_TOKEN: z.string().min(1).max(32),
  KEYWARD_HSM_PIN_FILE: path,
  KEYWARD_HSM_SO_PIN_FILE: path.optional(),
  KEYWARD_HSM_HARDWARE: z.enum(['true', 'false']).default('false'),
  KEYWARD_HSM_UNSAFE: z.literal('tests-only').optional(),
  KEYWARD_SOFTWARE_KEYS: z.enum(['allowed', 'refused', 'unless-hardware']).default('unless-hardware'),
  KEYWARD_IMPORT_IN_MEMORY: z.enum(['refused', 'ephemeral']).default('refused'),
  KEYWARD_HSM_LOG_KEYS: z.enum(['Ed25519', 'ECDSA_P256']).optional(),
  KEYWARD_CUSTODIAN_STATE_DIR: path,
  KEYWARD_CUSTODIAN_CACHED_KEYS: z.coerce.number().int().min(1).max(100_000).default(8000),
  KEYWARD_CUSTODIAN_CACHED_FOR_MS: milliseconds.default(3_600_000),
  KEYWARD_CUSTODIAN_HANG_MS: milliseconds.default(5000),
  KEYWARD_EXIT_WITH_PARENT: z.enum(['0', '1']).default('0'),
  KEYWARD_BACKUP_DAYS_WAL: days,
  KEYWARD_BACKUP_DAYS_DATABASE: days,
  KEYWARD_BACKUP_DAYS_TOKEN: days,
  KEYWARD_METRICS_FILE: path.optional(),
  KEYWARD_CUSTODIAN_RECYCLE_AT: z.coerce.number().int().positive().default(1_000_000),
});
const environment = variables.refine(
  ({ KEYWARD_HSM_UNSAFE, KEYWARD_HSM_HARDWARE }) => KEYWARD_HSM_UNSAFE === undefined || KEYWARD_HSM_HARDWARE === 'false',
  {
    path: ['KEYWARD_HSM_UNSAFE'],
    message: 'hardware is not for tests only',
  },
);

export type CustodianConfig = ReturnType<typeof custodianConfig>;

/**
 * The custodian's settings; SOFTHSM2_CONF is read by the module itself.
 * @throws Error naming each setting that is missing or wrong, without its value.
 */
export function custodianConfig(env: NodeJS.ProcessEnv = process.env) {
  const settings = parsed(environment, env);
  return {
    hsm: {
      module: settings.KEYWARD_HSM_MODULE,
      tokenLabel: settings.KEYWARD_HSM_TOKEN,
      pinFile: settings.KEYWARD_HSM_PIN_FILE,
      declaredHardware: settings.KEYWARD_HSM_HARDWARE === 'true',
      tolerant: settings.KEYWARD_HSM_UNSAFE !== undefined,
      softwareKeys: settings.KEYWARD_SOFTWARE_KEYS,
      importInMemory: settings.KEYWARD_IMPORT_IN_MEMORY,
      logKeys: settings.KEYWARD_HSM_LOG_KEYS,
      cachedKeys: settings.KEYWARD_CUSTODIAN_CACHED_KEYS,
      cachedForMs: settings.KEYWARD_CUSTODIAN_CACHED_FOR_MS,
      backupDays: {
        wal: settings.KEYWARD_BACKUP_DAYS_WAL,
        database: settings.KEYWARD_BACKUP_DAYS_DATABASE,
        token: settings.KEYWARD_BACKUP_DAYS_TOKEN,
      },
    },
    soPinFile: settings.KEYWARD_HSM_SO_PIN_FILE,
    socketDirectory: settings.KEYWARD_SOCKET_DIR,
    stateDirectory: settings.KEYWARD_CUSTODIAN_STATE_DIR,
    hangMs: settings.KEYWARD_CUSTODIAN_HANG_MS,
    /** End when the starter is gone: set by the embedded platform. */
    exitWithParent: settings.KEYWARD_EXIT_WITH_PARENT === '1',
    /** For a collector of text files (node_exporter's): what the HSM was used for. */
    metricsFile: settings.KEYWARD_METRICS_FILE,
    recycleAt: settings.KEYWARD_CUSTODIAN_RECYCLE_AT,
  };
}

const token = variables.pick({ KEYWARD_HSM_MODULE: true, KEYWARD_HSM_TOKEN: true, KEYWARD_HSM_PIN_FILE: true });

/** What opens the token, for a program that serves nobody. @throws Error as above */
export function tokenConfig(env: NodeJS.ProcessEnv = process.env) {
  const settings = parsed(token, env);
  return { module: settings.KEYWARD_HSM_MODULE, tokenLabel: settings.KEYWARD_HSM_TOKEN, pinFile: settings.KEYWARD_HSM_PIN_FILE };
}

function parsed<Settings>(schema: z.ZodType<Settings>, env: NodeJS.ProcessEnv): Settings {
  const read = schema.safeParse(env);
  if (!read.success) throw new Error(read.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`).join('; '));
  return read.data;
}

/** One directory a plane, so that its permissions can let in one plane's user alone. */
export const socketPath = (directory: string, plane: Plane) => join(directory, plane, `${plane}.sock`);
export const planes = Object.keys(PLANES) as Plane[];
