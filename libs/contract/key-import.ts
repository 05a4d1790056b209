import { z } from 'zod';
import { IMPORT_ALGORITHMS } from './asymmetric-algorithms.js';
import { base64Bytes } from './bytes.js';
import { importToken, keyId, keyVersionId } from './identifiers.js';

export const IMPORT_TOKEN_HOURS = 24;
/** An RSA-4096 ciphertext, and behind it a wrapped RSA-4096 private key. */
export const MAX_IMPORTED_BYTES = 4096;
const time = z.iso.datetime().meta({ description: 'RFC 3339, UTC' });
const algorithm = z.enum(IMPORT_ALGORITHMS, { error: `must be one of ${IMPORT_ALGORITHMS.join(', ')}` });

export const importParametersRequest = z.strictObject({ algorithm }).meta({ id: 'ImportParametersRequest' });
export type ImportParametersRequest = z.infer<typeof importParametersRequest>;

export const importParametersAnswer = z
  .object({
    keyId,
    keyVersionId: keyVersionId.meta({ description: 'the version that the import makes, or fills again' }),
    importToken: importToken.meta({ description: 'one use' }),
    algorithm,
    expiresAt: time,
    statement: z.string().meta({
      description: "all of this and the wrapping key, signed by the tenant's log key (C2SP signed-note): check it before wrapping anything",
    }),
  })
  .meta({ id: 'ImportParameters' });
export type ImportParametersAnswer = z.infer<typeof importParametersAnswer>;

export const importKeyMaterialRequest = z
  .strictObject({
    importToken,
    encryptedKeyMaterial: base64Bytes(1, MAX_IMPORTED_BYTES).meta({ description: 'base64 of the wrapped material' }),
    publicKey: base64Bytes(1, 1024).optional().meta({ description: 'of a key pair: base64 of its SubjectPublicKeyInfo, DER' }),
    validTo: time.optional().meta({ description: 'from then on the key is not used; default: for good' }),
  })
  .meta({ id: 'ImportKeyMaterialRequest' });
export type ImportKeyMaterialRequest = z.infer<typeof importKeyMaterialRequest>;
