export {
  ConfigurationError,
  type Config,
  environmentWith,
  inheritedEnvironment,
  isLoopback,
  type ListenAddress,
  loadBackupConfig,
  loadConfig,
  loadProvisioningConfig,
  type ProvisioningConfig,
  secretsInSettings,
  settingsThatAreSet,
  type ProcessName,
  required,
  type TlsMode,
} from './config.js';
export type { Metrics } from './metrics/metrics.js';
export { countedRecords, planeMetrics } from './metrics/plane-metrics.js';
export { Health, type Probe, type Readiness } from './health.js';
export { createLogger, describeError, type Logger } from './logging.js';
export { builtProgram, checkoutPath, checkoutRoot } from './paths.js';
export { platformName } from './platform-name.js';
export { type DrainStep, drainOnSignal, type ShutdownOptions } from './shutdown.js';
export { serverTls, type ServerTls } from './tls.js';
export { cacheDir, type DataDir, defaultDataDir, demoDataDir, openDataDir, removeDataDir } from './embedded/data-dir.js';
export { unpackedPackages } from './embedded/debian-packages.js';
export { freePort } from './embedded/free-port.js';
export { type Platform, type PlatformOptions, startPlatform } from './embedded/platform.js';
export { withEmbeddedDatabase } from './embedded/embedded-database.js';
export { EmbeddedPostgres } from './embedded/postgres.js';
export { type DatabaseRole, DATABASE_ROLES, type EnvOf, tokenEnv } from './embedded/process-plans.js';
export { type HsmSettings, prepareSoftHsm, softHsmModule } from './embedded/softhsm.js';
export { EXIT_DO_NOT_RESTART, SupervisedProcess } from './embedded/supervised-process.js';
