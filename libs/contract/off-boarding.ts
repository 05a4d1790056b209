import { z } from 'zod';
import { tenantId } from './identifiers.js';
import { line } from './text.js';

const time = z.iso.datetime().meta({ description: 'RFC 3339, UTC' });

export const offBoardRequest = z
  .strictObject({
    days: z.int().min(7).max(30).default(30).meta({ description: 'how long it waits, and can be cancelled' }),
    reason: line(512).default(''),
  })
  .meta({ id: 'OffBoardRequest' });
export type OffBoardRequest = z.infer<typeof offBoardRequest>;

export const agreeRequest = z
  .strictObject({ confirm: z.string().meta({ description: "the tenant's own name: every key and secret of it will be destroyed" }) })
  .meta({ id: 'AgreeToOffBoardingRequest' });
export type AgreeRequest = z.infer<typeof agreeRequest>;

export const OFF_BOARDING_STATES = ['Agreed', 'Waiting', 'Closing', 'Ended'] as const;
export const offBoardingAnswer = z
  .object({
    tenant: tenantId,
    state: z.enum(OFF_BOARDING_STATES).meta({
      description:
        "Agreed: the tenant's admin did, nobody has begun; Waiting: until endsAt; Closing: nobody of it gets in, all is being destroyed",
    }),
    agreedBy: z.string().optional(),
    agreedAt: time.optional(),
    basis: z
      .enum(['agreement', 'suspension'])
      .optional()
      .meta({ description: 'what the operator began it on; without it, it does not go on' }),
    begunBy: z.string().optional(),
    begunAt: time.optional(),
    reason: z.string().optional(),
    endsAt: time.optional(),
    endedAt: time.optional(),
  })
  .meta({ id: 'OffBoarding' });
export type OffBoardingAnswer = z.infer<typeof offBoardingAnswer>;

export const offBoardingPath = z.strictObject({ leaving: tenantId });
