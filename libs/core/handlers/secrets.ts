import { createHash } from 'node:crypto';
import { PENDING, SECRET_RECOVERY_DAYS, type SecretDescription, type SecretRotationPolicy } from '#contract';
import { secretRow } from '../bound-rows.js';
import { canonicalJson } from '../canonical-json.js';
import { isCipherSpec } from '../ciphertext.js';
import { ownKeyUse } from '../decide-secret.js';
import { InvalidRequest, KeywardError } from '../errors.js';
import type { Handlers, Prepared, Step } from '../handler.js';
import { newSecretId, newSecretVersionId } from '../identifiers.js';
import type { RuleBindings, SecretKeys } from '../ports/custody.js';
import type { GrantPolicy } from '../ports/grants.js';
import type { RowProofs } from '../ports/rules.js';
import type { SecretChange, SecretReads, StoredSecret } from '../ports/secrets.js';
import type { RecordDetails } from '../record.js';
import { labelsAfterMove, labelsAfterPut, labelsOf } from '../secret-labels.js';
import { secretContext } from '../secret-sealing.js';
import { changedFields } from './changed-fields.js';
import { ownKey } from './own-key.js';
import { describeSecret, mustBeKept, ownSecret } from './own-secret.js';
import { relabelled, sealVersion } from './secret-values.js';
import { tagChange } from './tags.js';

const DAY_MS = 86_400_000;
const HOUR_MS = 3_600_000;

type SecretOperation =
  | 'CreateSecret'
  | 'ListSecrets'
  | 'ListSecretVersions'
  | 'UpdateSecret'
  | 'UpdateSecretVersionLabels'
  | 'DeleteSecret'
  | 'RestoreSecret'
  | 'UpdateSecretRotationPolicy'
  | 'RotateSecret';

export interface SecretParts {
  readonly custody: SecretKeys & Pick<RuleBindings, 'bindRule'>;
  readonly secrets: SecretReads;
  readonly proofs: RowProofs;
  readonly grants: GrantPolicy;
}

/** A tenant's secrets, from their making to the wait for their end. */
export function secretHandlers(parts: SecretParts): Handlers<SecretOperation> {
  const { custody, secrets } = parts;
  const own = (step: Step<Exclude<SecretOperation, 'CreateSecret' | 'ListSecrets'>>) => ownSecret(parts, step, step.input.secretId);
  return {
    CreateSecret: async (step) => {
      const { input, call, now, permit } = step;
      const { name, type, description, tags = {}, value, format, rotation, versionId = newSecretVersionId(now) } = input;
      const key = await ownKey(step, input.keyId);
      const primary = key.versions.get(key.primaryVersion);
      if (primary?.usage !== 'ENCRYPT_DECRYPT' || primary.publicKey !== undefined || !isCipherSpec(primary.spec))
        throw new InvalidRequest([{ field: 'keyId', message: 'must be a symmetric key for ENCRYPT_DECRYPT' }]);
      const secretId = newSecretId(now);
      const of = { secretId, versionId };
      const wish = { use: 'GenerateDataKey' as const, keyId: key.keyId, versionId: undefined, context: secretContext(of) };
      const verdict = await ownKeyUse(parts.grants, 'admin', step.snapshot, wish, now, { details: {} });
      const { crypto: _, ...details } = verdict.details;
      if (verdict.error !== undefined) return { error: verdict.error, details };
      if (rotation?.connectionSecret !== undefined) await mustBeConnection(parts, step, rotation, secretId);
      const named = { secretId, name, type, keyId: key.keyId, tags, rotation };
      const labels = value === undefined ? {} : labelsAfterPut({}, versionId);
      // Its first labels are of the revision after none.
      const change = await relabelled(custody, permit(), { secretId, revision: 0 }, labels);
      const secret: StoredSecret = {
        ...{ ...named, ...change, description, createdAt: new Date(now), deletionAt: undefined, versions: [] },
        ...{ rotationState: 'Idle', nextRotationAt: nextRotationOf(rotation, now) },
        mac: await custody.bindRule(permit(), secretRow(call.tenant, named)),
      };
      const sealedUnder = permit({ versionId: primary.versionId });
      const added = value && (await sealVersion(custody, sealedUnder, primary, { ...of, format, value }, now));
      return {
        answer: describeSecret(secret),
        details: {
          ...details,
          secret: { id: secretId, name, ...(added && { versionId }) },
          change: { type, ...(input.tags && tagChange({}, tags)), ...(rotation && { rotation: rotation.target }) },
        },
        apply: async (writes) => {
          await writes.secrets.insert(secret);
          await writes.secrets.putVersion({ ...change, added });
        },
      };
    },

    ListSecrets: async ({ input, call }) => ({ answer: await secrets.secrets(call.tenant, input), details: {} }),

    ListSecretVersions: async (step) => {
      const { secretId, name, labels, versions } = await own(step);
      const items = versions.map(({ createdAt, ...version }) => ({
        ...{ ...version, createdAt: createdAt.toISOString(), labels: labelsOf(labels, version.versionId) },
      }));
      return { answer: { secretId, items }, details: { secret: { id: secretId, name } } };
    },

    UpdateSecret: async (step) => {
      const { call, input, permit } = step;
      const secret = await own(step);
      mustBeKept(secret);
      const { tags, description = secret.description } = input;
      const after = { ...secret, description, tags: tags ?? secret.tags };
      const mac = await custody.bindRule(permit(), secretRow(call.tenant, after));
      const told = { ...changedFields(digested(secret), digested(after)), ...(tags && tagChange(secret.tags, tags)) };
      return changed(secret, { description, tags: after.tags, mac }, told);
    },

    UpdateSecretVersionLabels: async (step) => {
      const { input, permit } = step;
      const secret = await own(step);
      mustBeKept(secret);
      const labels = labelsAfterMove(secret.labels, input, secret.versions);
      const change = await relabelled(custody, permit(), secret, labels);
      return {
        ...changed(
          secret,
          {},
          { label: input.label, version: { before: secret.labels[input.label] ?? null, after: input.moveTo ?? null } },
        ),
        answer: describeSecret({ ...secret, labels }),
        apply: (writes) => writes.secrets.putVersion(change),
      };
    },

    /** From its return on nobody reads it; until it is purged nothing is lost, unless that is asked for. */
    DeleteSecret: async (step) => {
      const { recoveryDays = SECRET_RECOVERY_DAYS.usual, force } = step.input;
      const secret = await own(step);
      const at = new Date(force ? step.now : step.now + recoveryDays * DAY_MS);
      if (!force) mustBeKept(secret);
      const told = { ...changedFields(endOf(secret), endOf({ deletionAt: at })), ...(force && { purged: true }) };
      const done = changed(secret, { deletionAt: at }, told);
      return force ? { ...done, apply: (writes) => writes.secrets.delete(secret.secretId) } : done;
    },

    RestoreSecret: async (step) => {
      const secret = await own(step);
      if (secret.deletionAt === undefined) throw new KeywardError('state-unchangeable', 'It is not to be deleted.');
      return changed(secret, { deletionAt: undefined }, changedFields(endOf(secret), endOf({ deletionAt: undefined })));
    },

    UpdateSecretRotationPolicy: async (step) => {
      const { call, input, now, permit } = step;
      const secret = await own(step);
      mustBeKept(secret);
      // It would go on at another target, with what it began at this one.
      mustRest(secret);
      const rotation = input.policy ?? undefined;
      if (rotation !== undefined) await mustBeConnection(parts, step, rotation, secret.secretId);
      const mac = await custody.bindRule(permit(), secretRow(call.tenant, { ...secret, rotation }));
      // Published again, it is tried again.
      const change = { rotation, mac, rotationState: 'Idle', nextRotationAt: nextRotationOf(rotation, now) } as const;
      return changed(secret, change, changedFields(policyTold(secret.rotation), policyTold(rotation)));
    },

    /** Marks it due; the worker begins at once. */
    RotateSecret: async (step) => {
      const secret = await own(step);
      mustBeKept(secret);
      if (secret.rotation === undefined) throw new KeywardError('state-unchangeable', 'It has no rotation policy.');
      mustRest(secret);
      const { rotationState: before } = secret;
      return changed(secret, { rotationState: 'Due', nextRotationAt: new Date(step.now) }, { rotation: { before, after: 'Due' } });
    },
  };
}

/** @throws KeywardError state-unchangeable */
function mustRest({ rotationState }: StoredSecret): void {
  if (rotationState === 'Running') throw new KeywardError('state-unchangeable', 'A rotation is under way.');
}

/** The first rotation is an interval away; without one it is only when asked. */
const nextRotationOf = (rotation: SecretRotationPolicy | undefined, now: number): Date | undefined =>
  rotation?.intervalHours === undefined ? undefined : new Date(now + rotation.intervalHours * HOUR_MS);

/** A target is reached by another secret of the tenant. @throws InvalidRequest */
async function mustBeConnection(
  parts: SecretParts,
  step: Parameters<typeof ownSecret>[1],
  { connectionSecret }: SecretRotationPolicy,
  secretId: StoredSecret['secretId'],
): Promise<void> {
  if (connectionSecret === undefined) return;
  const refused = (message: string) => new InvalidRequest([{ field: 'rotation.connectionSecret', message }]);
  if (connectionSecret === secretId) throw refused('must be another secret');
  const { secret } = await parts.secrets.secret(step.call.tenant, connectionSecret);
  if (secret === undefined) throw refused('is no secret of this tenant');
  if (secret.labels[PENDING] !== undefined || secret.deletionAt !== undefined) throw refused('is about to change or to go');
}

const endOf = ({ deletionAt }: Pick<StoredSecret, 'deletionAt'>) => ({ deletionAt: deletionAt?.toISOString() ?? null });

/** A description is prose of any length. */
const digested = ({ description }: Pick<StoredSecret, 'description'>) => ({
  descriptionDigest: createHash('sha256').update(description).digest('base64url'),
});

const policyTold = (rotation: SecretRotationPolicy | undefined) => ({
  target: rotation?.target ?? null,
  intervalHours: rotation?.intervalHours ?? null,
  connectionSecret: rotation?.connectionSecret ?? null,
  overlapMinutes: rotation?.overlapMinutes ?? null,
  options: rotation?.options === undefined ? null : createHash('sha256').update(canonicalJson(rotation.options)).digest('base64url'),
});

function changed(secret: StoredSecret, change: SecretChange, told: NonNullable<RecordDetails['change']>): Prepared<SecretDescription> {
  return {
    answer: describeSecret({ ...secret, ...change }),
    details: { secret: { id: secret.secretId, name: secret.name }, change: told },
    apply: (writes) => writes.secrets.update(secret.secretId, change),
  };
}
