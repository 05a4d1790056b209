export { inDatabase } from '../provision/provision.js';
export { upgradeDatabase } from '../provision/upgrade.js';
export { describeDatabase } from './describe.js';
export { DatabaseSnapshot, type LogSize, type TableShape, tenantObjects, type TenantObjects } from './snapshot.js';
export { loadDatabase, RestoreRefused } from './load.js';
export { asBackupSuperuser } from './superuser.js';
export type { CheckedTrail, SignedTree } from './trails.js';
export { COUNTS_AS_SEALED, countUnseenSeals } from './unseen-seals.js';
export { eachVersion, type SavedVersion, versionsWithMaterial } from './versions.js';
