import { sealerTo } from '#contract/hpke';
import { InvalidRequest } from '../errors.js';
import type { ForRecipient } from '../operation-shapes.js';

/** What a handler gives out, and the bytes of it that are to be wiped once it is gone. */
export interface Released<Answer> {
  readonly answer: Answer;
  readonly secret?: Uint8Array;
}
type Opened = { readonly plaintext: Uint8Array };

/**
 * How a plaintext is answered: as it is, or sealed to the recipient that the request names, and bound to the ciphertext that it is of, so
 * that nobody in between can pass it off as what another one opens to. The plaintext is wiped then: it goes nowhere.
 * @throws InvalidRequest for a public key that shares no secret
 */
export function answering<Result extends Opened>(
  recipient?: Uint8Array,
): (opened: Result, ciphertext: Uint8Array) => Released<Result | ForRecipient<Result>> {
  if (recipient === undefined) return (opened) => ({ answer: opened, secret: opened.plaintext });
  const seal = sealer(recipient);
  return ({ plaintext, ...answer }, ciphertext) => {
    try {
      return { answer: { ...answer, ciphertextForRecipient: seal(plaintext, ciphertext) } };
    } finally {
      plaintext.fill(0);
    }
  };
}

function sealer(recipient: Uint8Array) {
  try {
    return sealerTo(recipient);
  } catch {
    throw new InvalidRequest([{ field: 'recipient', message: 'is no point that shares a secret' }]);
  }
}
