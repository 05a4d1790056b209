import { z } from 'zod';
import { ENCRYPTION_ALGORITHMS } from './asymmetric-algorithms.js';
import { disclosureDigest, MAX_DISCLOSURES } from './disclosure.js';
import { MAX_CONTEXT_PAIRS } from './encryption-context.js';
import { alias, credentialId, keyId, keyVersionId, prefixedId, secretId, secretName, stopId, tenantId } from './identifiers.js';
import { KEY_SPECS, keyState } from './key-life.js';
import { recordedLease } from './lease.js';
import { OPERATION_NAMES, SYSTEM_OPERATIONS } from './operations.js';
import { justification } from './policy.js';
import { authMethod, role } from './principal.js';
import { problemCode } from './problem.js';
import { SIGNING_ALGORITHMS } from './signing.js';
import { line } from './text.js';

export const MAX_REASON_CHARACTERS = 200;

const MAX_CHANGED_FIELDS = 32;

const MAX_UNMET = 16;

const count = z.int().min(0);
const scalar = z.union([line(2048), z.number(), z.boolean(), z.null()]);
const contextDigest = z.string().regex(/^[A-Za-z0-9_-]{22,43}$/);

export const logId = prefixedId('log');

/**
 * Record schema v1 as a plane appends it. A log is verified as a whole, so a record that does not fit would spoil it for good:
 * unknown fields are refused, a new field means a new `v`.
 */
export const recordBody = z.strictObject({
  v: z.literal(1),
  id: prefixedId('rec'),
  log: logId,
  platform: z
    .string()
    .regex(/^[a-z0-9.-]{1,40}\/[A-Za-z0-9.+-]{1,24}$/)
    .optional()
    .meta({ description: 'deployment, software version and build: host/version+digest' }),
  time: z.iso.datetime({ precision: 3 }).meta({ description: "start of the request by the plane's clock" }),
  durationUs: count,
  phase: z.enum(['single', 'heartbeat']),
  op: z.enum([...OPERATION_NAMES, ...SYSTEM_OPERATIONS]),
  category: z.enum(['management', 'use', 'audit', 'platform']),
  rw: z.enum(['read', 'write']),
  outcome: z.enum(['succeeded', 'refused', 'failed']),
  error: z.strictObject({ code: problemCode, reason: line(MAX_REASON_CHARACTERS) }).optional(),
  key: z
    .strictObject({
      id: keyId,
      versionId: keyVersionId.optional(),
      spec: z.enum(KEY_SPECS).optional(),
      origin: z.enum(['KEYWARD', 'EXTERNAL', 'EXTERNAL_KEY_STORE']).optional(),
      state: keyState.optional(),
      aliasUsed: alias.optional(),
    })
    .optional(),
  secret: z
    .strictObject({ id: secretId, name: secretName.optional(), versionId: line(64).optional() })
    .optional()
    .meta({ description: 'what a call about a secret was about; `key` is the key that seals its values' }),
  crypto: z
    .strictObject({
      context: z
        .array(contextDigest)
        .max(MAX_CONTEXT_PAIRS)
        .optional()
        .meta({ description: 'one salted HMAC a pair of the encryption context, base64url' }),
      mode: z.enum(['direct', 'data-key']).optional().meta({ description: 'what the ciphertext holds: data, or a data key' }),
      algorithm: z.enum([...SIGNING_ALGORITHMS, ...ENCRYPTION_ALGORITHMS]).optional(),
      plaintextSize: line(32).optional().meta({ description: 'a bucket, never the exact length' }),
      lease: recordedLease.optional(),
    })
    .optional(),
  actor: z.strictObject({
    type: role,
    tenant: tenantId,
    principal: line(128).meta({ description: "a service's name; of a person, 22 characters that mean nothing outside the tenant" }),
    credentialId: credentialId.optional().meta({ description: 'the worker has none' }),
    authMethod: authMethod.optional().meta({ description: 'how it proved who it is; the oldest records do not say: by an API key' }),
  }),
  authz: z
    .strictObject({
      decision: z.enum(['allow', 'deny']),
      policyVersion: count.optional(),
      ruleId: line(128).optional(),
      keyRuleId: line(128).optional().meta({ description: 'of the secret’s key: the rule that decided about its use' }),
      stopId: stopId.optional(),
      unmet: z
        .array(line(64))
        .max(MAX_UNMET)
        .optional()
        .meta({ description: 'of the rule that came closest: conditions that were not, or not known to be, as it asks' }),
    })
    .optional(),
  change: z
    .record(z.string().regex(/^[a-z][A-Za-z0-9]{0,63}$/), z.union([scalar, z.strictObject({ before: scalar, after: scalar })]))
    .refine((fields) => Object.keys(fields).length <= MAX_CHANGED_FIELDS, `must name at most ${MAX_CHANGED_FIELDS} fields`)
    .optional(),
  request: z.strictObject({
    requestId: z.string().regex(/^[A-Za-z0-9_-]{1,64}$/),
    traceId: z
      .string()
      .regex(/^[0-9a-f]{32}$/)
      .optional()
      .meta({ description: 'as the caller told it (W3C Trace Context, `traceparent`)' }),
    source: contextDigest.optional().meta({ description: "the oldest records: salted HMAC of the caller's address" }),
    dryRun: z.literal(true).optional().meta({ description: 'asked whether it would be allowed: no key was used' }),
    justification: justification.optional(),
    recipient: z
      .string()
      .regex(/^[A-Za-z0-9_-]{43}$/)
      .optional()
      .meta({ description: 'the plaintext was asked for sealed to this public key only: SHA-256 of its SubjectPublicKeyInfo, base64url' }),
  }),
  hsm: z
    .strictObject({ serial: line(32), firmware: line(16) })
    .optional()
    .meta({ description: 'the token in which it was done, where a key was made' }),
  discarded: count.optional().meta({ description: 'results that the HSM made and a stale rule threw away before this one' }),
  count: z
    .int()
    .min(1)
    .optional()
    .meta({ description: 'calls that share this record: items of one batch, identical refusals, or reads of one minute' }),
  _sd: z
    .array(disclosureDigest)
    .max(MAX_DISCLOSURES)
    .optional()
    .meta({ description: 'digests of personal fields, which stand elsewhere until they are erased (RFC 9901)' }),
  _sd_alg: z.literal('sha-256').optional(),
});
/** What a plane hands to the trail; ids need no brand here, `parseRecord` gives them one. */
export type RecordBody = z.input<typeof recordBody>;

/** A record as the database stores it: it splices these three in front, and nobody else may. */
export const trailRecord = z
  .strictObject({
    seq: count.meta({ description: 'place in the log, from 0: the index of the leaf' }),
    recordedAt: z.iso.datetime({ precision: 6 }).meta({ description: "the database's clock, never going back" }),
    writer: z
      .string()
      .regex(/^[a-z][a-z0-9_]{0,62}$/)
      .meta({ description: 'the database role that appended it' }),
    ...recordBody.shape,
  })
  .meta({ id: 'TrailRecord' });
export type TrailRecord = z.infer<typeof trailRecord>;
