import { KeywardError } from '#core';

/** The signer's own state says otherwise: a smaller tree, another root at the same size, or another origin. Never retryable. */
export class CheckpointRefused extends KeywardError {
  constructor(reason: string) {
    super('internal', '', { reason: `checkpoint-refused: ${reason}` });
  }
}
