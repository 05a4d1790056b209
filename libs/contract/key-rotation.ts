import { z } from 'zod';

/** How often a key may be rotated automatically (kms-semantics §1). */
export const ROTATION_DAYS = { shortest: 7, longest: 730 } as const;

const intervalDays = z.int().min(ROTATION_DAYS.shortest).max(ROTATION_DAYS.longest);

export const keyRotationRequest = z
  .strictObject({
    enabled: z.boolean(),
    intervalDays: intervalDays.optional().meta({ description: 'from one version to the next; where it is enabled' }),
  })
  .refine(({ enabled, intervalDays: days }) => enabled === (days !== undefined), {
    path: ['intervalDays'],
    message: 'is needed where rotation is enabled, and only there',
  })
  .meta({ id: 'KeyRotationRequest' });
export type KeyRotationRequest = z.infer<typeof keyRotationRequest>;

export const keyRotation = z
  .object({
    version: z.int().meta({ description: 'of the rotation policy, for If-Match; 0: none was ever set' }),
    status: z
      .enum(['Enabled', 'Disabled', 'Suspended'])
      .meta({ description: 'Suspended: kept, and carried out as soon as nothing suspends it any more' }),
    intervalDays: intervalDays.optional(),
    nextRotationAt: z.iso
      .datetime()
      .optional()
      .meta({ description: 'RFC 3339, UTC: the newest version’s birth and the interval. Past: as soon as possible' }),
    suspendedBy: z.enum(['key-state', 'stop', 'tenant-suspended']).optional(),
  })
  .meta({ id: 'KeyRotation' });
export type KeyRotation = z.infer<typeof keyRotation>;
