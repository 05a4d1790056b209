export { Appender, type AppenderOptions } from './appender.js';
export { type NewPlatform, PlatformBootstrap } from './bootstrap.js';
export type { DatabaseSettings } from './connection.js';
export { migrating, provision, type Provisioning } from './provision/provision.js';
export { SCHEMA_VERSION, type Startup } from './startup.js';
export {
  type AuditorStore,
  type DataPlaneStore,
  type KeyPlaneStore,
  openAuditorStore,
  openDataPlaneStore,
  openKeyPlaneStore,
  openWorkerStore,
  type WorkerStore,
} from './stores.js';
