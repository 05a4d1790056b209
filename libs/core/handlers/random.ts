import { decideKeyless } from '../decide-keyless.js';
import { asFailure } from '../errors.js';
import type { Handler } from '../pipeline.js';
import type { Custody } from '../ports/custody.js';
import { type RecordDetails, sizeBucket } from '../record.js';
import { askedIn } from './asked-in.js';

/** Bytes of the HSM's generator, for whoever has a grant for every key. */
export const randomHandler =
  (custody: Pick<Custody, 'generateRandom'>): Handler<'GenerateRandom'> =>
  async ({ operation, principal, call, input, snapshot, now, permit }) => {
    const { numberOfBytes, justification, dryRun } = input;
    const decision = decideKeyless(operation, principal, call, justification, snapshot, now);
    const { error, validUntil, charges } = decision;
    const details: RecordDetails = { crypto: { plaintextSize: sizeBucket(numberOfBytes) }, ...decision.details, ...askedIn(input) };
    if (error !== undefined) return { error, details, validUntil };
    if (dryRun === true) return { answer: { dryRun }, details, validUntil };
    try {
      const plaintext = await custody.generateRandom(permit(), numberOfBytes);
      return { answer: { plaintext }, secret: plaintext, details, validUntil, charges };
    } catch (failure) {
      return { error: asFailure(failure), details, validUntil };
    }
  };
