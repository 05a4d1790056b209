import { KeywardError } from './errors.js';
import { mustBeFew } from './handlers/key-versions.js';
import { newKeyVersionId } from './identifiers.js';
import { nextRotation, rotationGrant, rotationRefusal } from './key-rotation.js';
import { rotationPermit } from './pipeline.js';
import type { Custody } from './ports/custody.js';
import type { GrantPolicy } from './ports/grants.js';
import type { DueRotation, KeyRotationStore, KeyRotator } from './ports/key-rotations.js';
import { recordedVersion } from './record.js';
import { type SnapshotKey, type Snapshots, StaleSnapshot, UNCHECKED } from './snapshot.js';
import { workerRecord } from './worker-record.js';

export interface RotationParts {
  readonly snapshots: Snapshots;
  readonly grants: GrantPolicy;
  readonly custody: KeyRotator & Pick<Custody, 'capabilities'>;
  readonly rotations: KeyRotationStore;
  /** As `platformName` says it. */
  readonly platform?: string;
}

/** A second rule that comes in between means a very busy admin: the key is found again later. */
const ATTEMPTS = 2;

/**
 * Gives one key its next version, as the pipeline would: snapshot → decide → permit → perform → append. The key's rotation policy is the
 * grant. Once a due time, whoever else tries and wherever it is interrupted: the change compares what it found with what is there.
 * Answers the record's place; undefined when there was nothing to do, or no longer.
 * @throws KeywardError: why the key could not be rotated
 */
export async function rotateDueKey(parts: RotationParts, due: DueRotation): Promise<bigint | undefined> {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    try {
      const seq = await attemptRotation(parts, due);
      if (seq !== undefined) return seq;
    } catch (error) {
      if (!(error instanceof StaleSnapshot)) throw error;
    }
  }
  return undefined;
}

async function attemptRotation({ snapshots, grants, custody, rotations, platform }: RotationParts, due: DueRotation) {
  const { tenant, keyId } = due;
  const now = due.at.getTime();
  snapshots.forget(tenant);
  const snapshot = await snapshots.of(tenant);
  const key = await snapshot?.key({ reference: keyId });
  if (snapshot === undefined || key === undefined) throw new KeywardError('not-found', '', { reason: 'unknown-key' });
  if (snapshot.rules.unproven === true || key.unproven === true) throw new KeywardError('unavailable', '', { reason: UNCHECKED });
  const { rules } = snapshot;
  const refusal = rotationRefusal(grants, rules, key, now);
  if (refusal !== undefined) throw new KeywardError(refusal.code, '', { reason: refusal.reason });
  const { rotation, primary, intervalDays } = wanted(key);
  if (!due.worn && nextRotation(key.primaryVersion, intervalDays).getTime() > now) return undefined;
  mustBeFew(key);

  const versionId = newKeyVersionId(now);
  const { token: hsm } = await custody.capabilities();
  const root = await rotations.root(tenant);
  const rotated = await custody.rotateKey(rotationPermit(tenant, versionId), { key, rotation, primary, versionId, root });
  const body = workerRecord(rules.log.logId, now, {
    ...{ op: 'RotateKey', category: 'management', platform, hsm },
    key: { id: keyId, ...recordedVersion(rotated.version), state: key.state },
    authz: { decision: 'allow', ruleId: rotationGrant(key)!.id },
    change: {
      primaryVersion: { before: key.primaryVersion, after: versionId },
      protectionLevel: rotated.version.protectionLevel,
      rotationVersion: rotation.version,
      ...(due.worn && { reason: 'iv-budget' }),
    },
  });
  return await rotations.rotate({ ...rotated, due, epochs: rules.epochs, before: key.primaryVersion, body });
}

/** @throws KeywardError internal, for a key that no rule would have let through */
function wanted({ rotation, versions, primaryVersion }: SnapshotKey) {
  const primary = versions.get(primaryVersion);
  const intervalDays = rotation?.intervalDays;
  if (rotation === undefined || intervalDays === undefined || primary === undefined)
    throw new KeywardError('internal', '', { reason: 'rotation without a policy' });
  return { rotation, primary, intervalDays };
}
