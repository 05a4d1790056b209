import { z } from 'zod';
import { keyId, keyVersionId } from './identifiers.js';
import { whoCanEntry } from './key-operations.js';
import { GRANTED_OPERATIONS } from './operations.js';

const time = z.iso.datetime();
const calls = z.int().min(0);
const counts = {
  uses: calls.meta({ description: 'that succeeded, since the log began' }),
  usesLately: calls.meta({ description: 'that succeeded, since `since`' }),
  refusedLately: calls.meta({ description: 'that were refused or failed, since `since`' }),
};
const operation = z.enum(GRANTED_OPERATIONS);

/** What breaks if this key is disabled. */
export const keyUsageAnswer = z
  .object({
    keyId,
    asOf: z.int().meta({ description: 'records of the log that this tells of, to the last one' }),
    since: time.meta({ description: 'the beginning of a day, UTC, 30 days ago' }),
    services: z
      .array(
        z.object({
          service: z.string(),
          lastUse: time.optional(),
          ...counts,
          operations: z.array(
            z.object({ operation, versionId: keyVersionId.optional(), firstUse: time.optional(), lastUse: time.optional(), ...counts }),
          ),
          leases: z
            .object({ count: calls, until: time.optional() })
            .meta({ description: 'data keys that it may still hold, and until when at the latest: these go on for so long' }),
        }),
      )
      .meta({ description: 'those that used it or tried to; the most used lately first' }),
    leasesComplete: z.boolean().meta({ description: 'false: there were more calls than were looked at; counts of leases are the least' }),
    usableBy: z
      .array(whoCanEntry.omit({ keyId: true, aliases: true, secret: true }))
      .meta({ description: 'who may use it now, used or not, by the policy in force' }),
    sentences: z.array(z.string()),
  })
  .meta({ id: 'KeyUsage' });
export type KeyUsageAnswer = z.infer<typeof keyUsageAnswer>;
