import { ImportRefused } from '../import-refused.js';
import type { KeyHandle } from './cryptoki.js';
import { EPHEMERAL_BYTES } from './key-templates.js';
import { RSA_RAW } from './mechanisms.js';
import { oaepMessage } from './oaep-message.js';
import type { OpenToken } from './open-token.js';

/**
 * The ephemeral key of RSA_AES_KEY_WRAP_SHA_256 where a module does not know OAEP with SHA-256: the private operation happens in the HSM,
 * the unpadding here. Only if the operator allows it. The key is wiped here as soon as the HSM has it; what it wraps never comes out.
 * `encrypted` is as long as the modulus. @throws ImportRefused, CryptokiError
 */
export function ephemeralInMemory(token: OpenToken, wrapping: KeyHandle, encrypted: Buffer): KeyHandle {
  const { cryptoki, holder } = token;
  const encoded = token.operate((session) => cryptoki.decrypt(session, RSA_RAW, wrapping, encrypted));
  if (encoded.length !== encrypted.length) {
    // A module that leaves the leading zero away: all of the key is in it.
    encoded.fill(0);
    throw new ImportRefused('notMaterial');
  }
  const bytes = oaepMessage(encoded, EPHEMERAL_BYTES);
  try {
    return cryptoki.createEphemeral(holder, bytes);
  } finally {
    bytes.fill(0);
  }
}
