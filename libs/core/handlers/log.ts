import { KeywardError } from '../errors.js';
import type { Handlers } from '../pipeline.js';
import type { Custody } from '../ports/custody.js';
import type { Reads } from '../ports/reads.js';
import { vkeyOf } from './vkey.js';

const DAY_MS = 86_400_000;

export type LogOperation = 'RotateLogKey' | 'SetRetention' | 'PruneRecords';

export interface LogParts {
  readonly custody: Pick<Custody, 'createLogKey'>;
  readonly reads: Pick<Reads, 'logKey'>;
}

/** What a tenant's admins decide about its own log, and operators about the platform's: nobody else may change what its auditors verify with. */
export function logHandlers({ custody, reads }: LogParts): Handlers<LogOperation> {
  return {
    /** The key is found or made by its number: what a crash or a refused change left in the HSM is used the next time. */
    RotateLogKey: async ({ input: { overlapDays }, call, snapshot, now, permit }) => {
      const { number: last, vkey: replaces, overlaps } = await reads.logKey(call.tenant);
      if (overlaps) throw new KeywardError('already-exists', 'The last rotation is not over: the older key still signs.');
      const number = last + 1;
      const { publicKey } = await custody.createLogKey(permit(), number);
      const vkey = vkeyOf(snapshot.rules.log.origin, publicKey);
      const retiresAt = new Date(now + overlapDays * DAY_MS);
      return {
        answer: { number, vkey, replaces, replacedAt: retiresAt.toISOString() },
        details: { change: { number, vkey, replaces, replacedAt: retiresAt.toISOString() } },
        apply: (writes) => writes.insertLogKey({ number, vkey, madeAt: new Date(now), retiresAt }),
      };
    },

    SetRetention: async ({ input: { days } }) => ({
      answer: { days },
      details: { change: { days } },
      apply: (writes) => writes.setRetention(days),
    }),

    /** Its record is what a verifier goes by: without one it takes no log that begins with hashes. */
    PruneRecords: async ({ input: { minIndex, exported } }) => ({
      answer: { minIndex },
      details: { change: { minIndex, exportedSize: exported.size, exportedRoot: exported.root } },
      apply: (writes) => writes.pruneBelow(minIndex, { size: exported.size, root: Buffer.from(exported.root, 'base64') }),
    }),
  };
}
