import { z } from 'zod';
import { credentialId, importToken, keyId, principalName } from './identifiers.js';
import { keyState } from './key-life.js';

export const CALENDAR_EVENTS = ['credential-expiry', 'deletion', 'import-expiry', 'material-expiry', 'rotation'] as const;

/** Something that will happen to a tenant's keys and credentials by the clock. */
export const calendarItem = z
  .object({
    at: z.iso.datetime().meta({ description: 'RFC 3339, UTC; what is past waits for what suspends it' }),
    event: z.enum(CALENDAR_EVENTS).meta({
      description:
        'rotation: by the rotation policy; deletion: the key is destroyed; material-expiry: imported material is not used from then on; import-expiry: a token that nobody has used counts no more',
    }),
    keyId: keyId.optional(),
    keyState: keyState.optional().meta({ description: 'as it is stored: a key that is not Enabled is not rotated' }),
    importToken: importToken.optional(),
    credentialId: credentialId.optional(),
    principal: principalName.optional(),
  })
  .meta({ id: 'CalendarItem' });
export type CalendarItem = z.infer<typeof calendarItem>;
