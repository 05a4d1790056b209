export { BlindIndexKey } from './blind-index.js';
export { BlindIndex, type BlindIndexOptions, Encrypted, type EncryptedOptions, Sensitive } from './columns.js';
export { type Covered, coverageText } from './coverage.js';
export { FieldIndex, type Renewed } from './field-index.js';
export type { TenantOf } from './rows.js';
export type { SealingOptions } from './options.js';
export { Sealing } from './sealing.js';
