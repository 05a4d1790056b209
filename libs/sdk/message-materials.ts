import type { NodeDecryptionMaterial, NodeEncryptionMaterial, NodeMaterialsManager } from '@aws-crypto/material-management-node';
import type { EncryptionContext } from '#contract';
import { DecryptFailed } from './errors.js';

type Sealing = NodeMaterialsManager['getEncryptionMaterials'];
type Opening = NodeMaterialsManager['decryptMaterials'];

/**
 * The materials of one message. The library does not wipe the data key of a message that came to a good end: `wipe` does.
 *
 * With `expected`, materials for a message of exactly this context, or none. Compared before a data key is asked for or taken from a
 * cache, so a message that was moved from one row to another opens nowhere. (The header's context is a claim at this point; the data key
 * and the header's tag prove it before any plaintext.)
 */
export class MessageMaterials implements NodeMaterialsManager {
  readonly #materials: NodeMaterialsManager;
  readonly #expected: EncryptionContext | undefined;
  #handedOut: NodeEncryptionMaterial | NodeDecryptionMaterial | undefined;

  constructor(materials: NodeMaterialsManager, expected?: EncryptionContext) {
    this.#materials = materials;
    this.#expected = expected;
  }

  async getEncryptionMaterials(request: Parameters<Sealing>[0]): ReturnType<Sealing> {
    const material = await this.#materials.getEncryptionMaterials(request);
    this.#handedOut = material;
    return material;
  }

  async decryptMaterials(request: Parameters<Opening>[0]): ReturnType<Opening> {
    if (this.#expected && !sameContext(request.encryptionContext, this.#expected))
      throw new DecryptFailed('The message was sealed for another context.', { code: 'decrypt-failed' });
    const material = await this.#materials.decryptMaterials(request);
    this.#handedOut = material;
    return material;
  }

  wipe(): void {
    this.#handedOut?.zeroUnencryptedDataKey();
  }
}

function sameContext(given: EncryptionContext, expected: EncryptionContext): boolean {
  const names = Object.keys(expected);
  return Object.keys(given).length === names.length && names.every((name) => Object.hasOwn(given, name) && given[name] === expected[name]);
}
