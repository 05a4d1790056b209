export { DEFAULT_AUDITOR, DEFAULT_KEY_PLANE, KeywardAdmin, type KeywardAdminOptions } from './admin-client.js';
export type { Provenance, Told } from './answers.js';
export { BatchedDataKeys } from './batched-data-keys.js';
export type { ItemResult } from './batches.js';
export type { Proof, SigningKey } from './bearer.js';
export {
  type Ciphertext,
  type DataKey,
  type DataKeyCall,
  type DecryptCall,
  DEFAULT_DATA_PLANE,
  type DryRun,
  type DryRunCalls,
  type EncryptCall,
  type ItemOf,
  KeywardClient,
  type KeywardClientOptions,
  type Mac,
  type MacCall,
  type Plaintext,
  type Validity,
  type PublicKey,
  type PublicKeyCall,
  type ReEncryptCall,
  type Signature,
  type SignCall,
  type VerifyCall,
  type VerifyMacCall,
} from './client.js';
export {
  type CacheLimits,
  DEFAULT_CACHE_LIMITS,
  DEFAULT_FRAME_BYTES,
  Envelope,
  type EnvelopeOptions,
  type OpenScope,
  type SealScope,
} from './envelope.js';
export * from './errors.js';
export { MAX_FIELD_BYTES } from './field-format.js';
export { DEFAULT_FIELD_LIMITS, type FieldLimits } from './field-keys.js';
export { type BoundFields, type EncryptedDataKeys, Fields, type FieldScope, type FieldsOptions } from './fields.js';
export { type DataKeySource, KEYWARD_PROVIDER, KeywardKeyring, type KeyringScope } from './keyring.js';
export { type HoldsDataKeys, type ListenerOptions, RuleListener } from './rule-listener.js';
export { type Opener, type Sealable, Sealed, type SealedReason } from './sealed.js';
export { nodeSpeed } from './node-speed.js';
export { DEFAULT_PATIENCE, type Patience } from './retries.js';
