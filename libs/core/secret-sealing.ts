import { createCipheriv, createDecipheriv, createSecretKey, randomBytes } from 'node:crypto';
import { boundContext, type EncryptionContext, type SecretFormat, type TenantId } from '#contract';
import { ciphertextHeader, isCipherSpec } from './ciphertext.js';
import { DecryptFailed } from './errors.js';
import type { SecretVersionName, WrappedKeyVersion } from './ports/custody.js';

const CIPHER = 'aes-256-gcm';
const IV_BYTES = 12;
const TAG_BYTES = 16;
/** 'KWS' ‖ version ‖ format: authenticated as the first bytes of the AAD. */
const FORMAT = { text: 1, binary: 2 } as const satisfies Record<SecretFormat, number>;

/** The encryption context of a version's data key, reserved (DESIGN §7). */
export const secretContext = ({ secretId, versionId }: SecretVersionName): EncryptionContext => ({
  'keyward:secret': secretId,
  'keyward:version': versionId,
});

/**
 * The AAD under which custody seals the data key of one version: that of a data key with the reserved context.
 * @throws RangeError for a key that seals nothing
 */
export function secretKeyAad(tenant: string, { versionId, spec }: Pick<WrappedKeyVersion, 'versionId' | 'spec'>, of: SecretVersionName) {
  if (!isCipherSpec(spec)) throw new RangeError('The key seals nothing.');
  return Buffer.concat([ciphertextHeader('dataKey', versionId, spec), boundContext(tenant, secretContext(of))]);
}

/** IV ‖ ciphertext ‖ tag of AES-256-GCM (NIST SP 800-38D) under a key that seals nothing else. `key` is 32 bytes, and the caller's to wipe. */
export function sealValue(key: Uint8Array, tenant: TenantId, of: SecretVersionName, format: SecretFormat, value: Uint8Array): Uint8Array {
  const iv = randomBytes(IV_BYTES);
  const cipher = createCipheriv(CIPHER, createSecretKey(key), iv).setAAD(aadOf(tenant, of, format));
  return Buffer.concat([iv, cipher.update(value), cipher.final(), cipher.getAuthTag()]);
}

/** The caller wipes what it answers. @throws DecryptFailed for anything but what was sealed for this version */
export function openValue(key: Uint8Array, tenant: TenantId, of: SecretVersionName, format: SecretFormat, sealed: Uint8Array): Uint8Array {
  if (sealed.length < IV_BYTES + TAG_BYTES) throw new DecryptFailed('not-a-secret');
  const decipher = createDecipheriv(CIPHER, createSecretKey(key), sealed.subarray(0, IV_BYTES), { authTagLength: TAG_BYTES });
  decipher.setAAD(aadOf(tenant, of, format)).setAuthTag(sealed.subarray(-TAG_BYTES));
  const value = decipher.update(sealed.subarray(IV_BYTES, -TAG_BYTES));
  try {
    decipher.final();
    return value;
  } catch {
    value.fill(0);
    throw new DecryptFailed('wrong-tag-or-version');
  }
}

const aadOf = (tenant: TenantId, of: SecretVersionName, format: SecretFormat): Uint8Array =>
  Buffer.concat([Buffer.from('KWS'), Uint8Array.of(1, FORMAT[format]), boundContext(tenant, secretContext(of))]);
