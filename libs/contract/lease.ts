import { z } from 'zod';

/** An SDK holds no data key for longer, whatever a grant says; a stop reaches what it holds only then. */
export const LONGEST_DATA_KEY_LEASE_MS = 300_000;

const fields = {
  maxAgeSeconds: z
    .int()
    .min(1)
    .max(LONGEST_DATA_KEY_LEASE_MS / 1000)
    .meta({ description: 'from when it was asked for' }),
  maxUses: z.int().min(1).optional().meta({ description: 'values encrypted and decrypted' }),
  maxBytes: z.int().min(1).optional().meta({ description: 'bytes of these values; the first counts, whatever its size' }),
};

/** How long a service may keep a data key that a grant lets it have: its tenant says so. Honest SDKs obey. */
export const lease = z.strictObject(fields).meta({ id: 'Lease' });
export type Lease = z.infer<typeof lease>;

/** Where a grant says nothing. */
export const LONGEST_LEASE: Lease = Object.freeze({ maxAgeSeconds: LONGEST_DATA_KEY_LEASE_MS / 1000 });

/** As an answer carries it: a newer plane may say more. */
export const answeredLease = z
  .object(fields)
  .default(LONGEST_LEASE)
  .meta({ description: 'how long the answered key may be kept, by the grant that allowed it' });

/** As a record tells it: a lease that began. */
export const recordedLease = z
  .strictObject({ until: z.iso.datetime({ precision: 3 }), maxUses: fields.maxUses, maxBytes: fields.maxBytes })
  .meta({ description: 'until when an honest SDK may keep what was answered' });
export type RecordedLease = z.infer<typeof recordedLease>;
