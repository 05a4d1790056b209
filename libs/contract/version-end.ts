import { z } from 'zod';
import { keyId, keyVersionId, longOperationId, tenantId } from './identifiers.js';
import { meant } from './key-life.js';

/** What still hangs on a version of a key. */
const REFERENCES = [
  'primary',
  'open-operation',
  'uploaded',
  'failed-items',
  'not-moved',
  'used-since',
  'leases',
  'secrets',
  'not-counted',
] as const;
export const versionReference = z.object({
  kind: z.enum(REFERENCES).meta({
    description:
      'primary: it seals. open-operation: a re-wrap is under way. uploaded: items that were handed over to a cancelled re-wrap, and whose results nobody acknowledged. failed-items: the last re-wrap could not move them. not-moved: a service used it, and no re-wrap of that service that had any items succeeded. used-since: a service used it after its re-wrap. leases: data keys may still be held. secrets: values of secrets are sealed under it, until a re-wrap of secrets moves them. not-counted: the newest records are not counted yet',
  }),
  service: z.string().optional(),
  operationId: longOperationId.optional(),
  count: z.int().optional(),
  at: z.iso.datetime().optional().meta({ description: 'of the last use, or when the last lease ends' }),
});
export type VersionReference = z.infer<typeof versionReference>;

export const versionReferencesAnswer = z
  .object({
    keyId,
    keyVersionId,
    asOf: z.int().meta({ description: 'records of the log that are counted' }),
    references: z.array(versionReference).meta({ description: 'none: it may be retired' }),
  })
  .meta({ id: 'VersionReferences' });
export type VersionReferencesAnswer = z.infer<typeof versionReferencesAnswer>;

export const retireVersionRequest = z
  .strictObject({
    confirm: keyVersionId.meta({ description: 'the version once more: its material is destroyed' }),
    service: meant,
  })
  .meta({ id: 'RetireVersionRequest' });
export type RetireVersionRequest = z.infer<typeof retireVersionRequest>;

export const completionCertificateAnswer = z
  .object({
    operationId: longOperationId,
    certificate: z
      .string()
      .meta({ description: "a signed note (C2SP signed-note) by the key of the tenant's log: `keyward verify-certificate`" }),
  })
  .meta({ id: 'CompletionCertificate' });
export type CompletionCertificateAnswer = z.infer<typeof completionCertificateAnswer>;

export const keyVersionPath = z.strictObject({ tenant: tenantId, key: keyId, keyVersion: keyVersionId });
