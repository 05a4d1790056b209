import { randomBytes } from 'node:crypto';
import type { ImportKeyMaterialRequest, KeyDescription, KeyId } from '#contract';
import { wrapped } from '../../apps/cli/commands/wrapped-material.js';
import type { KeyWorld } from './key-world.js';

/** A token for the key, and the material wrapped for it. */
export async function wrappedFor(
  world: KeyWorld,
  keyId: KeyId,
  material: Buffer = randomBytes(32),
): Promise<Pick<ImportKeyMaterialRequest, 'importToken' | 'encryptedKeyMaterial'>> {
  const algorithm = 'RSA_AES_KEY_WRAP_SHA_1';
  const { importToken, statement } = await world.admin('GetImportParameters', { keyId, algorithm });
  const wrappingKey = /^wrapping-key: (.*)$/m.exec(statement)?.[1] ?? '';
  return { importToken, encryptedKeyMaterial: Buffer.from(wrapped(material, { wrappingKey, algorithm })) };
}

/** A key whose material came from outside. */
export async function anImportedKey(world: KeyWorld, material?: Buffer): Promise<KeyDescription> {
  const { keyId } = await world.create({ origin: 'EXTERNAL' });
  return await world.admin('ImportKeyMaterial', { keyId, ...(await wrappedFor(world, keyId, material)) });
}
