import type { TenantId } from '#contract';
import { CustodyUnavailable, KeywardError } from './errors.js';
import { mustBeFew } from './handlers/key-versions.js';
import { newKeyVersionId } from './identifiers.js';
import { nextRotation, rotationGrant, rotationRefusal } from './key-rotation.js';
import { rotationPermit } from './pipeline.js';
import type { Custody, CustodyCapabilities } from './ports/custody.js';
import type { GrantPolicy } from './ports/grants.js';
import type { DueRotation, KeyRotationStore, KeyRotator, RotationChange } from './ports/key-rotations.js';
import { recordedVersion } from './record.js';
import { type Snapshot, type SnapshotKey, type Snapshots, StaleSnapshot, UNCHECKED } from './snapshot.js';
import { workerRecord } from './worker-record.js';

export interface RotationParts {
  readonly snapshots: Snapshots;
  readonly grants: GrantPolicy;
  readonly custody: KeyRotator & Pick<Custody, 'capabilities'>;
  readonly rotations: KeyRotationStore;
  /** As `platformName` says it. */
  readonly platform?: string;
}

export interface FailedRotation {
  readonly due: DueRotation;
  readonly error: KeywardError;
}

/** What a lot of one tenant's keys have in common. */
interface Lot {
  readonly snapshot: Snapshot;
  readonly hsm: CustodyCapabilities['token'];
  readonly root: number;
}

/**
 * Gives keys of one tenant their next versions, as the pipeline would: snapshot → decide → permit → perform → append, each key by itself, and
 * the change and its records in one transaction: however many they are, the tenant's rules change once. A key's rotation policy is the grant.
 * Once a due time, whoever else tries and wherever it is interrupted: the change compares what it found with what is there. When a rule
 * comes in between, the first key is tried again alone, which is soon done, and the others are found again later.
 * Answers which could not be rotated, and why.
 * @throws KeywardError when that is no fault of one key
 */
export async function rotateDueKeys(parts: RotationParts, dues: readonly DueRotation[]): Promise<readonly FailedRotation[]> {
  for (const some of [dues, dues.slice(0, 1)]) {
    try {
      const { isDone, failed } = await attemptRotations(parts, some);
      if (isDone) return failed;
    } catch (error) {
      if (!(error instanceof StaleSnapshot)) throw error;
    }
  }
  return [];
}

async function attemptRotations(parts: RotationParts, dues: readonly DueRotation[]) {
  const failed: FailedRotation[] = [];
  const [first] = dues;
  if (first === undefined) return { isDone: true, failed };
  const lot = await readLot(parts, first.tenant);
  const changes: RotationChange[] = [];
  for (const due of dues) {
    try {
      const change = await rotated(parts, lot, due);
      if (change !== undefined) changes.push(change);
    } catch (error) {
      // Without custody nothing is to be had for the others either, and each would wait for it.
      if (!(error instanceof KeywardError) || error instanceof CustodyUnavailable) throw error;
      failed.push({ due, error });
    }
  }
  return { isDone: await parts.rotations.rotate(changes), failed };
}

async function readLot({ snapshots, custody, rotations }: RotationParts, tenant: TenantId): Promise<Lot> {
  snapshots.forget(tenant);
  const snapshot = await snapshots.of(tenant);
  if (snapshot === undefined) throw new KeywardError('not-found', '', { reason: 'unknown-tenant' });
  if (snapshot.rules.unproven === true) throw new CustodyUnavailable(UNCHECKED);
  const { token: hsm } = await custody.capabilities();
  return { snapshot, hsm, root: await rotations.root(tenant) };
}

/** Undefined: it is not due by its own policy. */
async function rotated({ grants, custody, platform }: RotationParts, { snapshot, hsm, root }: Lot, due: DueRotation) {
  const { tenant, keyId } = due;
  const now = due.at.getTime();
  const key = await snapshot.key({ reference: keyId });
  if (key === undefined) throw new KeywardError('not-found', '', { reason: 'unknown-key' });
  if (key.unproven === true) throw new CustodyUnavailable(UNCHECKED);
  const { rules } = snapshot;
  const refusal = rotationRefusal(grants, rules, key, now);
  if (refusal !== undefined) throw new KeywardError(refusal.code, '', { reason: refusal.reason });
  const { rotation, primary, intervalDays } = wanted(key);
  if (!due.worn && nextRotation(key.primaryVersion, intervalDays).getTime() > now) return undefined;
  mustBeFew(key);

  const versionId = newKeyVersionId(now);
  const made = await custody.rotateKey(rotationPermit(tenant, versionId), { key, rotation, primary, versionId, root });
  const body = workerRecord(rules.log.logId, now, {
    ...{ op: 'RotateKey', category: 'management', platform, hsm },
    key: { id: keyId, ...recordedVersion(made.version), state: key.state },
    authz: { decision: 'allow', ruleId: rotationGrant(key)!.id },
    change: {
      primaryVersion: { before: key.primaryVersion, after: versionId },
      protectionLevel: made.version.protectionLevel,
      rotationVersion: rotation.version,
      ...(due.worn && { reason: 'iv-budget' }),
    },
  });
  return { ...made, due, epochs: rules.epochs, before: key.primaryVersion, body };
}

/** @throws KeywardError internal, for a key that no rule would have let through */
function wanted({ rotation, versions, primaryVersion }: SnapshotKey) {
  const primary = versions.get(primaryVersion);
  const intervalDays = rotation?.intervalDays;
  if (rotation === undefined || intervalDays === undefined || primary === undefined)
    throw new KeywardError('internal', '', { reason: 'rotation without a policy' });
  return { rotation, primary, intervalDays };
}
