import { createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { openAsRecipient } from '#contract/hpke';
import { recipientKindOf, type RecipientKind } from '#contract';
import { errorOf, InvalidCall } from './errors.js';

/** What only a recipient opens: a plaintext, in the place of itself. */
export interface ForRecipient {
  readonly ciphertextForRecipient: Uint8Array;
}

/** Who made `ciphertextForRecipient`, and of what. */
interface SealedAnswer extends ForRecipient {
  /** What Keyward opened, or made the data key of: it is bound. */
  readonly ciphertext: Uint8Array;
  readonly requestId?: string | undefined;
}

/**
 * Somebody to whom plaintexts are answered sealed (docs/formats.md), so that nothing between Keyward and here can read them: where TLS
 * ends at a proxy, or for an enclave whose host asks on its behalf.
 */
export class Recipient {
  /** SubjectPublicKeyInfo, DER: what is told to Keyward, or to whoever asks for us. */
  readonly publicKey: Uint8Array;
  readonly #privateKey: KeyObject;

  /** A key pair of this process alone. */
  static generate(kind: RecipientKind = 'X25519'): Recipient {
    const { privateKey } = kind === 'X25519' ? generateKeyPairSync('x25519') : generateKeyPairSync('ec', { namedCurve: 'P-256' });
    return new Recipient(privateKey);
  }

  /** @throws InvalidCall for a key that is not one of X25519 or P-256 */
  constructor(privateKey: KeyObject) {
    this.publicKey = new Uint8Array(createPublicKey(privateKey).export({ format: 'der', type: 'spki' }));
    if (recipientKindOf(this.publicKey) === undefined)
      throw new InvalidCall('A recipient has a key of X25519 or P-256.', { code: 'invalid-request' });
    this.#privateKey = privateKey;
  }

  /** The plaintext; wipe it. @throws ServerFault `bad-answer` for what was not sealed to us, or is of another ciphertext */
  open({ ciphertextForRecipient, ciphertext, requestId }: SealedAnswer): Uint8Array {
    try {
      return openAsRecipient(this.#privateKey, ciphertextForRecipient, ciphertext);
    } catch {
      throw errorOf('The answer was not sealed to this recipient, or is of another ciphertext.', { code: 'bad-answer', requestId });
    }
  }
}
