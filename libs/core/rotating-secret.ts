import type { EncryptionContext, KeyVersionId, ROTATION_USES, SecretRotationPolicy, SYSTEM_OPERATIONS } from '#contract';
import { ownKeyUse, type SealingUse } from './decide-secret.js';
import { KeywardError } from './errors.js';
import { findSecret, type SecretSource } from './handlers/own-secret.js';
import { openVersion } from './handlers/secret-values.js';
import { secretRotationPermit } from './pipeline.js';
import type { SecretKeys } from './ports/custody.js';
import type { GrantPolicy } from './ports/grants.js';
import type { ClaimedRotation } from './ports/secret-rotations.js';
import type { StoredSecret, WhichVersion } from './ports/secrets.js';
import type { Trail } from './ports/trail.js';
import type { RecordDetails } from './record.js';
import { secretContext } from './secret-sealing.js';
import { type Snapshot, type Snapshots, StaleSnapshot, UNCHECKED, type UsableVersion } from './snapshot.js';
import { workerRecord } from './worker-record.js';

export interface RotatingSecrets extends SecretSource {
  readonly snapshots: Snapshots;
  readonly grants: GrantPolicy;
  readonly custody: SecretKeys;
  readonly trail: Pick<Trail, 'append'>;
  /** As `platformName` says it. */
  readonly platform?: string;
}

/** One step of a rotation: the tenant's rules, the secret, and the policy that is the worker's rule, as of one epoch. */
export interface RotatingScene {
  readonly snapshot: Snapshot;
  readonly secret: StoredSecret;
  readonly policy: SecretRotationPolicy;
  readonly now: number;
  readonly platform: string | undefined;
}

/** @throws KeywardError, StaleSnapshot */
export async function rotatingScene(parts: RotatingSecrets, { tenant, secretId, at }: ClaimedRotation): Promise<RotatingScene> {
  parts.snapshots.forget(tenant);
  const snapshot = await parts.snapshots.of(tenant);
  if (snapshot === undefined) throw new KeywardError('not-found', '', { reason: 'unknown-tenant' });
  if (snapshot.rules.unproven === true) throw new KeywardError('unavailable', '', { reason: UNCHECKED });
  const found = await findSecret(parts, { call: { tenant }, snapshot }, secretId);
  if (found === undefined) throw new KeywardError('not-found', '', { reason: 'unknown-secret' });
  const { rotation: policy } = found.secret;
  if (policy === undefined) throw new KeywardError('internal', '', { reason: 'rotation without a policy' });
  return { snapshot, secret: found.secret, policy, now: at.getTime(), platform: parts.platform };
}

/** Custody as the worker has it, with the policy that it acts by. */
export function claimedKeys({ custody }: Pick<RotatingSecrets, 'custody'>, { secret, policy }: RotatingScene): SecretKeys {
  const claim = { ...secret, rotation: policy };
  return {
    generateSecretKey: (permit, version, of) => custody.generateSecretKey(permit, version, of, claim),
    openSecretKey: (permit, version, of, sealed) => custody.openSecretKey(permit, version, of, sealed, claim),
    bindSecretLabels: (permit, secretId, digest) => custody.bindSecretLabels(permit, secretId, digest, claim),
  };
}

/** Another secret of the same tenant. */
export async function readSecret(parts: SecretSource, { snapshot }: RotatingScene, reference: string): Promise<StoredSecret | undefined> {
  return (await findSecret(parts, { call: { tenant: snapshot.rules.tenant }, snapshot }, reference))?.secret;
}

/**
 * A value, for the caller to wipe, once its reading is recorded; undefined: there is no such version.
 * @throws KeywardError as reading does, StaleSnapshot
 */
export async function valueOf(
  parts: RotatingSecrets,
  scene: RotatingScene,
  { secretId, name, keyId }: StoredSecret,
  which: WhichVersion,
): Promise<Uint8Array | undefined> {
  const { tenant } = scene.snapshot.rules;
  const version = (await findSecret(parts, { call: { tenant }, snapshot: scene.snapshot }, secretId, which))?.version;
  if (version === undefined) return undefined;
  const of = { secretId, versionId: version.versionId };
  const key = await keyFor(parts, scene, { keyId }, 'Decrypt', version.keyVersionId, secretContext(of));
  const value = await openVersion(
    claimedKeys(parts, scene),
    secretRotationPermit('GetSecretValue', tenant, version.keyVersionId),
    key.version,
    of,
    version,
  );
  try {
    const { epochs, body } = told(scene, 'GetSecretValue', undefined, {
      ...key.details,
      secret: { id: secretId, name, versionId: of.versionId },
    });
    const { verdict } = await parts.trail.append({ tenant, epochs, validUntil: undefined, body });
    if (verdict !== 'durable') throw new StaleSnapshot();
    return value;
  } catch (error) {
    value.fill(0);
    throw error;
  }
}

/** The key of a secret, if nothing keeps the worker from it. @throws KeywardError */
export async function keyFor(
  { grants }: Pick<RotatingSecrets, 'grants'>,
  { snapshot, now }: RotatingScene,
  { keyId }: Pick<StoredSecret, 'keyId'>,
  use: SealingUse,
  versionId: KeyVersionId | undefined,
  context: EncryptionContext,
): Promise<{ readonly version: UsableVersion; readonly details: RecordDetails }> {
  const { error, version, details } = await ownKeyUse(grants, 'worker', snapshot, { use, keyId, versionId, context }, now, { details: {} });
  if (error !== undefined) throw new KeywardError(error.code, '', { reason: error.reason });
  if (version === undefined) throw new KeywardError('key-destroyed', '', { reason: 'version-destroyed' });
  return { version, details };
}

/** The record of what the worker did for a rotation, and the epochs under which it was decided. */
export function told(
  { snapshot, secret: { secretId: id, name }, now, platform }: RotatingScene,
  op: (typeof SYSTEM_OPERATIONS | typeof ROTATION_USES)[number],
  change: RecordDetails['change'],
  { key, crypto, secret = { id, name } }: Pick<RecordDetails, 'key' | 'crypto' | 'secret'> = {},
) {
  const { epochs, log } = snapshot.rules;
  const body = workerRecord(log.logId, now, {
    ...{ op, category: change === undefined ? 'use' : 'management', platform, secret },
    ...(change && { change }),
    ...(key && { key }),
    ...(crypto && { crypto }),
    authz: { decision: 'allow', ruleId: `secret-rotation:${id}` },
  });
  return { epochs, body } as const;
}
