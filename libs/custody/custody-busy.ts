import { KeywardError } from '#core';

const RETRY_AFTER_SECONDS = 5;

/** Too many RSA keys are being made: each takes seconds. */
export class CustodyBusy extends KeywardError {
  constructor() {
    super('too-many-requests', 'The HSM is making RSA keys, one after the other.', {
      reason: 'rsa-keys-under-way',
      retryAfterSeconds: RETRY_AFTER_SECONDS,
    });
  }
}
