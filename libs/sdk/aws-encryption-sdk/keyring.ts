import {
  EncryptedDataKey,
  KeyringNode,
  KeyringTraceFlag,
  type NodeDecryptionMaterial,
  type NodeEncryptionMaterial,
} from '@aws-crypto/material-management-node';
import type { EncryptionContext } from '#contract';
import { soundDataKey } from '../answers.js';
import { type DataKeySource, KEYWARD_PROVIDER } from '../envelope-key.js';
import { DecryptFailed, InvalidCall } from '../errors.js';
import { SIGNER_NAME } from '../message-header.js';
import { boundTo } from '../message-signature.js';

export interface KeyringScope {
  readonly tenant: string;
  /** A key's id or `alias/name`; needed to encrypt only. */
  readonly keyId?: string;
}

/**
 * A keyring for the AWS Encryption SDK whose data keys a tenant's key in Keyward protects. Provider info of an encrypted data key is
 * `tenant/keyId/keyVersionId`; the header's tag authenticates it. Errors of Keyward come through as they are. Leases do not: the library's
 * caching materials manager knows nothing of them, so do not cache with it, or use `Envelope`, which writes and reads the same messages.
 */
export class KeywardKeyring extends KeyringNode {
  readonly #source: DataKeySource;
  readonly #scope: KeyringScope;

  constructor(source: DataKeySource, scope: KeyringScope) {
    super();
    this.#source = source;
    this.#scope = scope;
  }

  async _onEncrypt(material: NodeEncryptionMaterial): Promise<NodeEncryptionMaterial> {
    const { tenant, keyId } = this.#scope;
    if (keyId === undefined || material.hasUnencryptedDataKey)
      throw new InvalidCall('This keyring makes data keys of its own, under a key that it was given.', { code: 'invalid-request' });
    const numberOfBytes = material.suite.keyLengthBytes;
    const dataKey = await this.#source.generateDataKey({
      tenant,
      keyId,
      numberOfBytes,
      context: boundContextOf(material.encryptionContext),
    });
    try {
      const providerInfo = `${tenant}/${dataKey.keyId}/${dataKey.keyVersionId}`;
      const encrypted = new EncryptedDataKey({ providerId: KEYWARD_PROVIDER, providerInfo, encryptedDataKey: dataKey.ciphertext });
      const { WRAPPING_KEY_GENERATED_DATA_KEY, WRAPPING_KEY_ENCRYPTED_DATA_KEY, WRAPPING_KEY_SIGNED_ENC_CTX } = KeyringTraceFlag;
      return material
        .setUnencryptedDataKey(
          soundDataKey(dataKey.plaintext, numberOfBytes, dataKey),
          trace(providerInfo, WRAPPING_KEY_GENERATED_DATA_KEY),
        )
        .addEncryptedDataKey(encrypted, WRAPPING_KEY_ENCRYPTED_DATA_KEY | WRAPPING_KEY_SIGNED_ENC_CTX);
    } finally {
      dataKey.plaintext.fill(0); // the material holds a copy of its own
    }
  }

  async _onDecrypt(material: NodeDecryptionMaterial, encryptedDataKeys: EncryptedDataKey[]): Promise<NodeDecryptionMaterial> {
    const { providerInfo, encryptedDataKey } = keywardsOwn(encryptedDataKeys);
    const context = boundContextOf(material.encryptionContext);
    // Tenant and key that the header claims are not trusted: the tenant is the caller's, the key an assertion that Keyward checks.
    const keyId = providerInfo.split('/')[1];
    const dataKey = await this.#source.decrypt({ tenant: this.#scope.tenant, ciphertext: encryptedDataKey, keyId, context });
    try {
      const { WRAPPING_KEY_DECRYPTED_DATA_KEY, WRAPPING_KEY_VERIFIED_ENC_CTX } = KeyringTraceFlag;
      const plaintext = soundDataKey(dataKey.plaintext, material.suite.keyLengthBytes, dataKey);
      return material.setUnencryptedDataKey(
        plaintext,
        trace(providerInfo, WRAPPING_KEY_DECRYPTED_DATA_KEY | WRAPPING_KEY_VERIFIED_ENC_CTX),
      );
    } finally {
      dataKey.plaintext.fill(0);
    }
  }
}

const trace = (keyName: string, flags: KeyringTraceFlag) => ({ keyNamespace: KEYWARD_PROVIDER, keyName, flags });

function keywardsOwn(encryptedDataKeys: readonly EncryptedDataKey[]): EncryptedDataKey {
  const own = encryptedDataKeys.find(({ providerId }) => providerId === KEYWARD_PROVIDER);
  if (own === undefined) throw new DecryptFailed('No key of Keyward protects this message.', { code: 'decrypt-failed' });
  return own;
}

/** The library adds the signer's public key to the context of signed suites, under a name that is reserved at Keyward. */
function boundContextOf({ [SIGNER_NAME]: signer, ...callers }: EncryptionContext): EncryptionContext {
  return boundTo(callers, signer);
}
