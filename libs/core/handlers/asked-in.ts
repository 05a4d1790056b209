import { createHash } from 'node:crypto';
import type { Justification } from '#contract';
import type { RecordDetails } from '../record.js';

interface Asking {
  readonly dryRun?: boolean | undefined;
  readonly justification?: Justification | undefined;
  readonly recipient?: Uint8Array | undefined;
}

/** What the caller said of its own call, for the record. */
export function askedIn({ dryRun, justification, recipient }: Asking): RecordDetails {
  if (dryRun !== true && justification === undefined && recipient === undefined) return {};
  return {
    asked: {
      ...(dryRun === true && { dryRun }),
      ...(justification && { justification }),
      ...(recipient && { recipient: createHash('sha256').update(recipient).digest('base64url') }),
    },
  };
}
