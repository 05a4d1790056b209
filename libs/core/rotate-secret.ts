import { CURRENT, PENDING, PREVIOUS, type SecretRotationPolicy } from '#contract';
import { KeywardError } from './errors.js';
import { relabelled, sealVersion } from './handlers/secret-values.js';
import { newSecretVersionId } from './identifiers.js';
import { secretRotationPermit } from './pipeline.js';
import type { Due } from './ports/jobs.js';
import type { ClaimedRotation, RotationMove, RunTurn, SecretRotations, TargetTurn } from './ports/secret-rotations.js';
import type { Labels, LabelChange } from './ports/secrets.js';
import {
  claimedKeys,
  keyFor,
  readSecret,
  type RotatingScene,
  rotatingScene,
  type RotatingSecrets,
  told,
  valueOf,
} from './rotating-secret.js';
import { labelsAfterPromotion, versionToDrop } from './secret-labels.js';
import { afterStep, firstPhase, isRunning, ROTATION, type RunningPhase, type StepDone, type StepFailed } from './secret-rotation.js';
import { secretContext } from './secret-sealing.js';
import { StaleSnapshot } from './snapshot.js';

const MINUTE_MS = 60_000;
/** For how long both values are good unless the policy says: time for whoever keeps a value for a while. */
const OVERLAP_MINUTES = 10;
/** Longer than the longest step: a worker that died gives its place to another after this. */
const LEASE_MS = 60_000;
/** A second rule that comes in between means a very busy admin. */
const ATTEMPTS = 2;
/** Phases in which the target hears of a value that is not current. */
const TAKES_PENDING: ReadonlySet<RunningPhase> = new Set(['Applying', 'Testing', 'Reverting']);

export interface SecretRotationParts extends RotatingSecrets {
  readonly rotations: SecretRotations;
  readonly runTurn: RunTurn;
  readonly leaseMs?: number;
  readonly pausesMs?: readonly number[];
}

/**
 * Takes a secret's rotation as far as it goes now, one durable step after the other. Whatever is interrupted, and wherever, is done again
 * with the same values: a value is stored before a target hears of it. Everything is decided and recorded as a call would be; the secret's
 * rotation policy, bound as the secret is, is the rule.
 * @throws KeywardError for what the platform or the tenant's rules keep it from; what a target is to blame for is counted in its row
 */
export async function rotateDueSecret(parts: SecretRotationParts, of: Due): Promise<void> {
  const { rotations, leaseMs = LEASE_MS } = parts;
  for (;;) {
    const claimed = await rotations.claim(of, leaseMs);
    if (claimed === undefined) return;
    try {
      if (!(await moved(parts, claimed))) return;
    } catch (error) {
      await rotations.release(claimed);
      throw error;
    }
  }
}

/** False when rules change faster than it works: it is found again when the lease is over. */
async function moved(parts: SecretRotationParts, claimed: ClaimedRotation): Promise<boolean> {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    try {
      if (await parts.rotations.advance(await nextMove(parts, claimed))) return true;
    } catch (error) {
      if (!(error instanceof StaleSnapshot)) throw error;
    }
  }
  return false;
}

async function nextMove(parts: SecretRotationParts, claimed: ClaimedRotation): Promise<RotationMove> {
  const scene = await rotatingScene(parts, claimed);
  const { phase, versionId } = claimed;
  if (!isRunning(phase)) return begin(scene, claimed);
  if (versionId === undefined) throw new KeywardError('internal', '', { reason: 'a rotation of no version' });
  if (phase === 'Promoting') return await promote(parts, scene, { ...claimed, phase, versionId });
  if (phase === 'Settling') return passed(parts, scene, { ...claimed, phase, versionId }, { done: true });
  return await atTarget(parts, scene, { ...claimed, phase, versionId });
}

type Running = ClaimedRotation & { readonly phase: RunningPhase; readonly versionId: string };

function begin(scene: RotatingScene, claimed: ClaimedRotation): RotationMove {
  const { labels } = scene.secret;
  const pending = labels[PENDING];
  const versionId = pending ?? newSecretVersionId(scene.now);
  const to = {
    phase: firstPhase(pending !== undefined),
    failures: 0,
    lastError: claimed.lastError,
    versionId,
    fromVersion: labels[CURRENT],
  };
  return { claimed, to, waitMs: 0, recorded: told(scene, 'StartSecretRotation', { versionId, target: scene.policy.target }) };
}

async function atTarget(parts: SecretRotationParts, scene: RotatingScene, claimed: Running): Promise<RotationMove> {
  const { secret } = scene;
  // The row that says how far it is has no authority: it would give a target an older value back.
  if (TAKES_PENDING.has(claimed.phase) && secret.labels[PENDING] !== claimed.versionId)
    throw new KeywardError('internal', '', { reason: 'not what is pending' });
  // An admin made what was current before current again.
  const kept = claimed.fromVersion === undefined || claimed.fromVersion === secret.labels[CURRENT];
  if (claimed.phase === 'Retiring' && kept) return await ended(parts, scene, claimed, { done: true });
  const turn = await turnOf(parts, scene, claimed);
  if ('failure' in turn) return await ended(parts, scene, claimed, turn);
  try {
    const outcome = await parts.runTurn(turn);
    if (claimed.phase !== 'Creating' || 'failure' in outcome) return await ended(parts, scene, claimed, outcome);
    if (outcome.value === undefined) return await ended(parts, scene, claimed, { failure: 'invalid', detail: 'no value' });
    return await stored(parts, scene, claimed, outcome.value);
  } finally {
    for (const value of [turn.connection, turn.current, turn.previous, turn.next, turn.old]) value?.fill(0);
  }
}

/** The values that a step needs; each reading is a record. */
async function turnOf(parts: SecretRotationParts, scene: RotatingScene, claimed: Running): Promise<TargetTurn | StepFailed> {
  const { secret, policy } = scene;
  const values: Record<string, Uint8Array> = {};
  try {
    for (const [name, versionId] of versionsFor(secret.labels, claimed)) {
      const value = versionId && (await valueOf(parts, scene, secret, { versionId }));
      if (!value) return wiped(values, { failure: 'invalid', detail: `${name}: there is no such version` });
      values[name] = value;
    }
    const connection = await connectionOf(parts, scene, policy);
    if (connection !== undefined && 'failure' in connection) return wiped(values, connection);
    const { current, ...others } = values;
    return {
      ...{ kind: policy.target, step: stepOf(claimed), options: policy.options ?? {}, connection, current: current!, ...others },
      rotation: { tenant: claimed.tenant, secretId: claimed.secretId, versionId: claimed.versionId },
    };
  } catch (error) {
    throw wiped(values, error);
  }
}

/** What each step of a target takes, by the names of TargetTurn. */
function versionsFor(labels: Labels, claimed: Running): readonly (readonly [string, string | undefined])[] {
  const { [CURRENT]: current, [PREVIOUS]: previous } = labels;
  const step = stepOf(claimed);
  if (step === 'retire')
    return [
      ['current', current],
      ['old', claimed.fromVersion],
    ];
  return [
    ['current', current],
    ...(previous === undefined ? [] : [['previous', previous] as const]),
    ...(step === 'create' ? [] : [['next', claimed.versionId] as const]),
  ];
}

function stepOf({ phase }: Running): TargetTurn['step'] {
  const { step } = ROTATION[phase];
  if (step === undefined) throw new RangeError(`${phase} is of no target.`);
  return step;
}

function wiped<Answer>(values: Readonly<Record<string, Uint8Array>>, answer: Answer): Answer {
  for (const value of Object.values(values)) value.fill(0);
  return answer;
}

async function connectionOf(parts: SecretRotationParts, scene: RotatingScene, { connectionSecret }: SecretRotationPolicy) {
  if (connectionSecret === undefined) return undefined;
  const secret = await readSecret(parts, scene, connectionSecret);
  const value = secret && (await valueOf(parts, scene, secret, { label: CURRENT }));
  const gone: StepFailed = { failure: 'invalid', detail: 'the connection secret has no value' };
  return value ?? gone;
}

/** The new value, durable before anybody else hears of it. */
async function stored(parts: SecretRotationParts, scene: RotatingScene, claimed: Running, value: Uint8Array): Promise<RotationMove> {
  const { secret, now } = scene;
  const { versionId } = claimed;
  try {
    const of = { secretId: secret.secretId, versionId };
    const { version, details } = await keyFor(parts, scene, secret, 'GenerateDataKey', undefined, secretContext(of));
    const format = secret.versions.find(({ versionId: id }) => id === secret.labels[CURRENT])?.format ?? 'text';
    const permit = secretRotationPermit('PutSecretValue', claimed.tenant, version.versionId);
    const added = await sealVersion(claimedKeys(parts, scene), permit, version, { ...of, format, value }, now);
    const labels = { ...secret.labels, [PENDING]: versionId };
    const moved = await relabelledBy(parts, scene, labels);
    return {
      ...passed(parts, scene, claimed, { done: true }),
      labels: { ...moved, added, dropped: versionToDrop(secret.versions, labels) },
      recorded: told(scene, 'PutSecretValue', { versionId, labels: PENDING }, { key: details.key }),
    };
  } finally {
    value.fill(0);
  }
}

/** What was tested becomes current. */
async function promote(parts: SecretRotationParts, scene: RotatingScene, claimed: Running): Promise<RotationMove> {
  const { versionId } = claimed;
  const { secret } = scene;
  if (secret.labels[PENDING] !== versionId) throw new KeywardError('internal', '', { reason: 'nothing to promote' });
  const labels = await relabelledBy(parts, scene, labelsAfterPromotion(secret.labels, versionId));
  const change = { version: { before: secret.labels[CURRENT] ?? null, after: versionId } };
  return { ...passed(parts, scene, claimed, { done: true }), labels, recorded: told(scene, 'PromoteSecretVersion', change) };
}

/** After a target's step: on, or again later, or back. */
async function ended(
  parts: SecretRotationParts,
  scene: RotatingScene,
  claimed: Running,
  outcome: StepDone | StepFailed,
): Promise<RotationMove> {
  const move = passed(parts, scene, claimed, outcome);
  const { phase, lastError } = move.to;
  const { secret } = scene;
  if (phase === 'Idle') return { ...move, recorded: told(scene, 'EndSecretRotation', { versionId: claimed.versionId }) };
  if (phase !== 'Invalid') return move;
  // What the target surely does not accept is pending no more; it stays stored, as all that was ever made.
  const { [PENDING]: pending, ...others } = secret.labels;
  const undone = claimed.phase === 'Reverting' && 'done' in outcome && pending !== undefined;
  return {
    ...move,
    ...(undone && { labels: await relabelledBy(parts, scene, others) }),
    recorded: told(scene, 'SecretRotationInvalid', { versionId: claimed.versionId, error: lastError ?? '', reverted: undone }),
  };
}

function passed(
  { pausesMs }: Pick<SecretRotationParts, 'pausesMs'>,
  { policy }: RotatingScene,
  claimed: Running,
  outcome: StepDone | StepFailed,
): RotationMove {
  const { waitMs, ...progress } = afterStep(claimed, outcome, overlapMs(policy), pausesMs);
  const { versionId, fromVersion } = claimed;
  return { claimed, to: { ...progress, versionId, fromVersion }, waitMs };
}

const overlapMs = ({ target, overlapMinutes = target === 'schedule' ? 0 : OVERLAP_MINUTES }: SecretRotationPolicy): number =>
  overlapMinutes * MINUTE_MS;

/** As its policy allows the worker. */
function relabelledBy(parts: Pick<SecretRotationParts, 'custody'>, scene: RotatingScene, labels: Labels): Promise<LabelChange> {
  const permit = secretRotationPermit('UpdateSecretVersionLabels', scene.snapshot.rules.tenant);
  return relabelled(claimedKeys(parts, scene), permit, scene.secret, labels);
}
