import { z } from 'zod';
import { prefixedId, tenantId } from './identifiers.js';
import { recordFormat } from './record-formats.js';
import { prose } from './text.js';

export const sinkId = prefixedId('sink').brand<'SinkId'>();
export type SinkId = z.infer<typeof sinkId>;

const time = z.iso.datetime().meta({ description: 'RFC 3339, UTC' });
const httpsUrl = z
  .url({ protocol: /^https?$/, error: 'must be an https URL' })
  .max(512)
  .refine((url) => !/^[a-z]+:\/\/[^/?#]*@/i.test(url), 'must hold no name or password: it is shown again');
const pem = (label: string) =>
  z
    .string()
    .max(16_384)
    .regex(new RegExp(`^-----BEGIN ${label}-----\\r?\\n[A-Za-z0-9+/=]`), `must be PEM, as -----BEGIN ${label}-----`);
const certificate = pem('CERTIFICATE');
const certificateAuthority = certificate.optional().meta({ description: 'PEM: trust these instead of the public authorities' });

/** Standard Webhooks over HTTPS, signed with a key of this sink's own. */
const webhook = z.strictObject({
  type: z.literal('webhook'),
  url: httpsUrl,
  format: recordFormat.default('cloudevents'),
  certificateAuthority,
});
/** RFC 5424 over TLS (RFC 5425). */
const syslog = z.strictObject({
  type: z.literal('syslog'),
  host: z.union([z.hostname(), z.ipv4(), z.ipv6()], { error: 'must be a host name or an address' }),
  port: z.int().min(1).max(65_535).default(6514),
  format: recordFormat.default('jsonl'),
  certificateAuthority,
  clientCertificate: certificate.optional().meta({ description: 'PEM: who we are, where the receiver asks' }),
});
/** An S3-compatible bucket in the layout of C2SP tlog-tiles. */
const s3 = z.strictObject({
  type: z.literal('s3'),
  endpoint: httpsUrl
    .refine((url) => !/[?#]/.test(url), 'must have neither a query nor a fragment')
    .meta({ description: 'of the store, without the bucket' }),
  bucket: z.string().regex(/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/, 'must be the name of a bucket'),
  region: z
    .string()
    .regex(/^[a-z0-9-]{1,64}$/, 'must be a region')
    .default('us-east-1'),
  accessKeyId: z.string().regex(/^[A-Za-z0-9]{3,128}$/, 'must be 3 to 128 letters and digits'),
  certificateAuthority,
});

/** Where records go, as it is shown: nothing of it is confidential. */
export const sinkTarget = z.discriminatedUnion('type', [webhook, syslog, s3]).meta({ id: 'SinkTarget' });
export type SinkTarget = z.infer<typeof sinkTarget>;

const shownToNobody = { description: 'sealed for the worker; never shown again' };
/** The same with what the platform has to prove itself by. */
const sinkTargetRequest = z
  .discriminatedUnion('type', [
    webhook,
    syslog.extend({ clientKey: pem('(EC |RSA )?PRIVATE KEY').optional().meta(shownToNobody) }),
    s3.extend({
      secretAccessKey: z
        .string()
        .regex(/^[!-~]{8,256}$/, 'must be 8 to 256 printable characters')
        .meta(shownToNobody),
    }),
  ])
  .refine((target) => target.type !== 'syslog' || (target.clientKey === undefined) === (target.clientCertificate === undefined), {
    path: ['clientKey'],
    error: 'must be given with clientCertificate, and only then',
  })
  .meta({ id: 'SinkTargetRequest' });
export type SinkTargetRequest = z.infer<typeof sinkTargetRequest>;

const description = prose(512);
export const createSinkRequest = z
  .strictObject({
    description: description.default(''),
    target: sinkTargetRequest,
    from: z
      .enum(['beginning', 'now'])
      .default('beginning')
      .meta({ description: 'the first record to deliver; a bucket must have all of them' }),
  })
  .refine(({ target, from }) => target.type !== 's3' || from === 'beginning', {
    path: ['from'],
    error: 'must be beginning for a bucket: it is verified as a whole',
  })
  .meta({ id: 'CreateSinkRequest' });
export type CreateSinkRequest = z.infer<typeof createSinkRequest>;

export const updateSinkRequest = z
  .strictObject({
    description: description.optional(),
    target: sinkTargetRequest.optional().meta({ description: 'of the same type, complete, with what it proves itself by' }),
    state: z.enum(['Active', 'Paused']).optional().meta({ description: 'Active also resumes one that was disabled' }),
    nextSeq: z.int().min(0).optional().meta({ description: 'deliver from this record on, again if need be' }),
  })
  .refine((change) => Object.keys(change).length > 0, 'must change something')
  .meta({ id: 'UpdateSinkRequest' });
export type UpdateSinkRequest = z.infer<typeof updateSinkRequest>;

export const sinkAnswer = z
  .object({
    sinkId,
    description: z.string(),
    target: sinkTarget,
    publicKey: z
      .string()
      .optional()
      .meta({ description: 'of a webhook: whpk_ and the Ed25519 key that verifies `v1a` signatures (Standard Webhooks)' }),
    state: z.enum(['Active', 'Paused', 'Disabled']).meta({ description: 'Disabled: nothing could be delivered for days' }),
    createdBy: z.string(),
    createdAt: time,
    delivery: z.object({
      nextSeq: z.int().meta({ description: 'every record before this one was taken' }),
      pending: z.int().meta({ description: 'signed records that wait' }),
      lastDeliveredAt: time.optional(),
      failures: z.int().meta({ description: 'in a row' }),
      failingSince: time.optional(),
      lastError: z.string().optional(),
      nextAttemptAt: time.optional().meta({ description: 'while it fails' }),
    }),
    test: z
      .object({
        requestedAt: time,
        testedAt: time.optional().meta({ description: 'absent: it has not been tried yet' }),
        error: z.string().optional().meta({ description: 'absent: it worked' }),
      })
      .optional(),
  })
  .meta({ id: 'Sink' });
export type SinkAnswer = z.infer<typeof sinkAnswer>;

export const sinkPath = z.strictObject({ tenant: tenantId, sink: sinkId });
