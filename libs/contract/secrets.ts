import { z } from 'zod';
import { base64Bytes } from './bytes.js';
import { asked, base64Text, failedItem } from './data-operations.js';
import { keyId, keyReference, keyVersionId, secretId, secretName, secretReference } from './identifiers.js';
import { description, tags } from './key-life.js';
import { pageQuery } from './key-operations.js';
import { plainMap } from './plain-map.js';

/** Limits of secrets (kms-semantics §1). */
export const MAX_SECRET_BYTES = 30_720;
export const MAX_SECRET_VERSIONS = 10;
/** `ACSCurrent` and `ACSPrevious` among them. */
export const MAX_SECRET_LABELS = 8;
export const MAX_SECRETS_AT_ONCE = 20;
export const SECRET_ROTATION_HOURS = { shortest: 6, longest: 365 * 24 } as const;
export const SECRET_RECOVERY_DAYS = { shortest: 7, longest: 30, usual: 30 } as const;
/** For how long the old and the new value are good together, minutes. */
export const SECRET_OVERLAP_MINUTES = { shortest: 10, longest: 2 * 24 * 60 } as const;

/** The version that is read unless another is named; there is always one, once there is a value. */
export const CURRENT = 'ACSCurrent';
/** What was current before. */
export const PREVIOUS = 'ACSPrevious';
/** What a rotation has made and not promoted: no caller gives it or takes it. */
export const PENDING = 'ACSPending';

export const secretPath = z.object({ secret: secretId });

const VERSION = /^[A-Za-z0-9_/+=.@-]{1,64}$/;
export const secretVersionId = z.string().regex(VERSION, 'must be 1 to 64 of letters, digits, _, /, +, =, ., @ and -');
const labelText = z
  .string()
  .regex(VERSION, 'must be 1 to 64 of letters, digits, _, /, +, =, ., @ and -')
  // Labels are names of a map: see plainMap.
  .refine((label) => label !== '__proto__', '__proto__ is refused');
const isBuiltIn = (label: string) => label === CURRENT || label === PREVIOUS;
/** Any label that a caller may name. */
export const secretLabel = labelText.refine(
  (label) => isBuiltIn(label) || !/^acs/i.test(label),
  `must not begin with ACS unless it is ${CURRENT} or ${PREVIOUS}`,
);

export const SECRET_TYPES = ['generic', 'database', 'access-key', 'ssh-key', 'token'] as const;
export const secretType = z.enum(SECRET_TYPES, { error: `must be one of ${SECRET_TYPES.join(', ')}` });
export type SecretType = (typeof SECRET_TYPES)[number];

const format = z.enum(['text', 'binary'], { error: 'must be text or binary' });
export type SecretFormat = z.infer<typeof format>;
const value = base64Bytes(1, MAX_SECRET_BYTES).meta({ description: `base64 of 1 to ${MAX_SECRET_BYTES} bytes` });
const utf8 = new TextDecoder('utf-8', { fatal: true });
function isText(bytes: Uint8Array): boolean {
  try {
    utf8.decode(bytes);
    return true;
  } catch {
    return false;
  }
}
const textIsText = <Request extends z.ZodType<{ format?: SecretFormat | undefined; value?: Uint8Array | undefined }>>(request: Request) =>
  request.refine(({ format: of, value: bytes }) => of !== 'text' || bytes === undefined || isText(bytes), {
    path: ['value'],
    message: 'is no UTF-8 text: say binary',
  });

/** What can be rotated, and `schedule`: a new random value, and nothing that is told. */
export const SECRET_TARGETS = ['schedule', 'webhook', 'api-key', 'postgresql', 'mariadb', 'redis', 'ssh'] as const;
export const secretRotationPolicy = z
  .strictObject({
    target: z.enum(SECRET_TARGETS, { error: `must be one of ${SECRET_TARGETS.join(', ')}` }),
    intervalHours: z
      .int()
      .min(SECRET_ROTATION_HOURS.shortest)
      .max(SECRET_ROTATION_HOURS.longest)
      .optional()
      .meta({ description: 'from one rotation to the next; absent: only when asked' }),
    connectionSecret: secretId.optional().meta({ description: 'the secret by which the target is reached' }),
    overlapMinutes: z.int().min(SECRET_OVERLAP_MINUTES.shortest).max(SECRET_OVERLAP_MINUTES.longest).optional(),
    options: plainMap(z.string().regex(/^[a-z][A-Za-z0-9]{0,31}$/), z.union([z.string().max(512), z.int(), z.boolean()]))
      .refine((map) => Object.keys(map).length <= 16, 'must be at most 16')
      .optional(),
  })
  .refine(({ target, connectionSecret }) => (target === 'schedule') === (connectionSecret === undefined), {
    path: ['connectionSecret'],
    message: 'is needed by every target but schedule, and only there',
  })
  .meta({ id: 'SecretRotationPolicy' });
export type SecretRotationPolicy = z.infer<typeof secretRotationPolicy>;

export const createSecretRequest = textIsText(
  z.strictObject({
    name: secretName,
    keyId: keyReference.meta({ description: 'the key under which its values are sealed: AES, enabled; it stays' }),
    type: secretType.default('generic'),
    description: description.default(''),
    tags: tags.optional(),
    value: value.optional().meta({ description: 'its first value, which becomes current' }),
    format: format.default('text'),
    versionId: secretVersionId.optional(),
    rotation: secretRotationPolicy.optional(),
  }),
)
  .refine(({ versionId, value: bytes }) => versionId === undefined || bytes !== undefined, {
    path: ['versionId'],
    message: 'is of a value, and there is none',
  })
  .meta({ id: 'CreateSecretRequest' });
export type CreateSecretRequest = z.infer<typeof createSecretRequest>;

export const putSecretValueRequest = textIsText(
  z.strictObject({
    secretId: secretReference,
    value,
    format: format.default('text'),
    versionId: secretVersionId.optional().meta({ description: 'the same value under the same id again is success; default: drawn' }),
    labels: z
      .array(secretLabel)
      .min(1)
      .max(MAX_SECRET_LABELS)
      .optional()
      .meta({ description: `what it is called; default: ${CURRENT}, and what was current becomes ${PREVIOUS}` }),
    justification: asked.justification,
  }),
).meta({ id: 'PutSecretValueRequest' });
export type PutSecretValueRequest = z.infer<typeof putSecretValueRequest>;

export const getSecretValueRequest = z
  .strictObject({
    secretId: secretReference,
    versionId: secretVersionId.optional(),
    label: secretLabel.optional().meta({ description: `default: ${CURRENT}` }),
    justification: asked.justification,
  })
  .refine(({ versionId, label }) => versionId === undefined || label === undefined, {
    path: ['label'],
    message: 'give versionId or label, not both',
  })
  .meta({ id: 'GetSecretValueRequest' });
export type GetSecretValueRequest = z.infer<typeof getSecretValueRequest>;

/** Each is parsed by itself, so that a bad one fails alone. */
export const getSecretValuesRequest = z
  .strictObject({
    items: z
      .array(
        z
          .unknown()
          .transform((item) => getSecretValueRequest.safeParse(item))
          .meta({ $ref: '#/components/schemas/GetSecretValueRequest' }),
      )
      .min(1)
      .max(MAX_SECRETS_AT_ONCE),
  })
  .meta({ id: 'GetSecretValuesRequest' });
export type GetSecretValuesRequest = z.infer<typeof getSecretValuesRequest>;

export const describeSecretRequest = z.strictObject({ secretId: secretReference }).meta({ id: 'DescribeSecretRequest' });
export type DescribeSecretRequest = z.infer<typeof describeSecretRequest>;

export const listSecretsQuery = pageQuery
  .extend({
    prefix: z
      .string()
      .regex(/^[A-Za-z0-9_/+=.@-]{1,192}$/, 'must be the beginning of a name')
      .optional(),
  })
  .meta({ id: 'ListSecretsQuery' });
export type ListSecretsQuery = z.infer<typeof listSecretsQuery>;

export const updateSecretRequest = z
  .strictObject({ description: description.optional(), tags: tags.optional().meta({ description: 'all that it has from now on' }) })
  .refine((change) => Object.keys(change).length > 0, 'must change something')
  .meta({ id: 'UpdateSecretRequest' });
export type UpdateSecretRequest = z.infer<typeof updateSecretRequest>;

export const updateSecretLabelsRequest = z
  .strictObject({
    label: secretLabel,
    moveTo: secretVersionId.optional().meta({ description: 'the version that has it from now on; absent: none' }),
    removeFrom: secretVersionId.optional().meta({ description: 'the version that has it now, if one has' }),
  })
  .refine(({ moveTo, removeFrom }) => moveTo !== undefined || removeFrom !== undefined, {
    path: ['moveTo'],
    message: 'give moveTo, removeFrom or both',
  })
  .meta({ id: 'UpdateSecretLabelsRequest' });
export type UpdateSecretLabelsRequest = z.infer<typeof updateSecretLabelsRequest>;

export const deleteSecretRequest = z
  .strictObject({
    recoveryDays: z
      .int()
      .min(SECRET_RECOVERY_DAYS.shortest)
      .max(SECRET_RECOVERY_DAYS.longest)
      .optional()
      .meta({ description: `until then it can be restored; default ${SECRET_RECOVERY_DAYS.usual}` }),
    force: z.boolean().default(false).meta({ description: 'at once and for good, instead' }),
  })
  .refine(({ recoveryDays, force }) => !force || recoveryDays === undefined, {
    path: ['recoveryDays'],
    message: 'give recoveryDays or force, not both',
  })
  .meta({ id: 'DeleteSecretRequest' });
export type DeleteSecretRequest = z.infer<typeof deleteSecretRequest>;

export const secretRotationRequest = z
  .strictObject({ policy: secretRotationPolicy.nullable().meta({ description: 'null: it is not rotated any more' }) })
  .meta({ id: 'SecretRotationRequest' });
export type SecretRotationRequest = z.infer<typeof secretRotationRequest>;

const moment = z.iso.datetime().meta({ description: 'RFC 3339, UTC' });
export const SECRET_STATES = ['Active', 'PendingDeletion'] as const;
/** `Due`: the worker will begin. `Invalid`: it was tried in vain; only an admin has it tried again. */
export const SECRET_ROTATION_STATES = ['Idle', 'Due', 'Running', 'Invalid'] as const;
export type SecretRotationState = (typeof SECRET_ROTATION_STATES)[number];

/**
 * One rotation of one secret, whatever its target is. Until `Promoting` is done, the value of before is current and what was applied is
 * undone when it does not work; from then on both are good until the overlap is over.
 *
 * `Invalid`: it was tried in vain; nothing happens by itself until an admin asks for it.
 */
export const ROTATION_PHASES = [
  'Idle',
  'Creating',
  'Applying',
  'Testing',
  'Promoting',
  'Settling',
  'Retiring',
  'Reverting',
  'Invalid',
] as const;
export type RotationPhase = (typeof ROTATION_PHASES)[number];

export const secretDescription = z
  .object({
    secretId,
    name: secretName,
    type: secretType,
    state: z.enum(SECRET_STATES),
    keyId,
    description: z.string(),
    tags: z.record(z.string(), z.string()),
    labels: z.record(z.string(), z.string()).meta({ description: 'the version that each label names' }),
    createdAt: moment,
    deletionAt: moment.optional().meta({ description: 'when it is purged, unless it is restored' }),
    rotation: z
      .object({
        policy: secretRotationPolicy,
        state: z.enum(SECRET_ROTATION_STATES),
        nextRotationAt: moment.optional(),
        phase: z
          .enum(ROTATION_PHASES)
          .optional()
          .meta({ description: 'where it stands, or how the last one ended; absent before the first one, and in lists' }),
        failures: z.int().optional().meta({ description: 'of this phase, in a row' }),
        lastError: z.string().optional().meta({ description: '`phase: refused, unavailable or invalid: why`, until a rotation succeeds' }),
        nextStepAt: moment.optional(),
      })
      .optional(),
  })
  .meta({ id: 'SecretDescription' });
export type SecretDescription = z.infer<typeof secretDescription>;

export const secretVersionSummary = z
  .object({
    versionId: z.string(),
    labels: z.array(z.string()),
    format,
    createdAt: moment,
    keyVersionId: keyVersionId.meta({ description: 'the version of the key that seals it' }),
  })
  .meta({ id: 'SecretVersionSummary' });
export type SecretVersionSummary = z.infer<typeof secretVersionSummary>;
export const secretVersionsAnswer = z.object({ secretId, items: z.array(secretVersionSummary) }).meta({ id: 'SecretVersionsAnswer' });
export type SecretVersionsAnswer = z.infer<typeof secretVersionsAnswer>;

const named = { secretId, name: secretName, versionId: z.string() };
export const secretPutAnswer = z.object({ ...named, labels: z.array(z.string()) }).meta({ id: 'SecretPutAnswer' });
export type SecretPutAnswer = z.infer<typeof secretPutAnswer>;

export const secretValueAnswer = z
  .object({ ...named, labels: z.array(z.string()), createdAt: moment, format, value: base64Text })
  .meta({ id: 'SecretValueAnswer' });
/** In the order of the items. */
export const secretValuesAnswer = z
  .object({ items: z.array(z.union([secretValueAnswer.extend({ record: z.int() }), failedItem])) })
  .meta({ id: 'SecretValuesAnswer' });
