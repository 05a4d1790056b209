export { DEFAULT_AUDITOR, DEFAULT_KEY_PLANE, KeywardAdmin, type KeywardAdminOptions } from './admin-client.js';
export type { Provenance, Told } from './answers.js';
export { BatchedDataKeys } from './batched-data-keys.js';
export type { ItemResult } from './batches.js';
export type { Proof, SigningKey } from './bearer.js';
export {
  type AsymmetricCiphertext,
  type AsymmetricDecryptCall,
  type AsymmetricEncryptCall,
  type AsymmetricPlaintext,
  type CallForRecipient,
  type Ciphertext,
  type DataKey,
  type DataKeyCall,
  type DataKeyForRecipient,
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
  type PlaintextForRecipient,
  type Validity,
  type PublicKey,
  type PublicKeyCall,
  type RandomBytes,
  type RandomCall,
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
export { type DataKeySource, type EnvelopeSource, KEYWARD_PROVIDER } from './envelope-key.js';
export * from './errors.js';
export { MAX_FIELD_BYTES } from './field-format.js';
export {
  type BoundFields,
  DEFAULT_FIELD_LIMITS,
  type EncryptedDataKeys,
  type FieldLimits,
  Fields,
  type FieldScope,
  type FieldsOptions,
} from './fields.js';
export { type ForRecipient, Recipient } from './recipient.js';
export { type HoldsDataKeys, type ListenerOptions, RuleListener } from './rule-listener.js';
export { type Opener, type Sealable, Sealed, type SealedReason } from './sealed.js';
export { nodeSpeed } from './node-speed.js';
export type { CollectedItem, RewrapCollection, RewrapUpload } from './rewrap-uploads.js';
export { type RewrapOutcome, type RewrapRun, Rewraps, type SourcePage } from './rewraps.js';
export type { StoredItem } from './stored-item.js';
export {
  type PutSecretCall,
  type RandomPasswordCall,
  type SecretCall,
  type SecretItem,
  Secrets,
  type SecretsCache,
  type SecretsOptions,
  type SecretValue,
} from './secrets/index.js';
export type { TracerProvider } from './tracing.js';
export { DEFAULT_PATIENCE, type Patience } from './retries.js';
