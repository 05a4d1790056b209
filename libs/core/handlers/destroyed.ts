import type { ShreddingReceiptAnswer } from '#contract';
import { KeywardError } from '../errors.js';

/** @throws KeywardError not-found, for a key that is not destroyed, and for none */
export function destroyed(receipt: ShreddingReceiptAnswer | undefined): ShreddingReceiptAnswer {
  if (receipt === undefined) throw new KeywardError('not-found', 'No such key was destroyed.', { reason: 'not-destroyed' });
  return receipt;
}
