import { CURRENT, type SecretDescription, type SecretId } from '#contract';
import { secretLabelsRow, secretRow } from '../bound-rows.js';
import { KeywardError } from '../errors.js';
import type { Call } from '../call.js';
import type { RowProofs } from '../ports/rules.js';
import type { SealedVersion, SecretStore, StoredSecret, WhichVersion } from '../ports/secrets.js';
import { type Snapshot, StaleSnapshot } from '../snapshot.js';

export interface SecretSource {
  readonly secrets: SecretStore;
  readonly proofs: RowProofs;
}
export interface FoundSecret {
  readonly secret: StoredSecret;
  /** Undefined: it has no such version. */
  readonly version: SealedVersion | undefined;
}

interface Reading {
  readonly call: Pick<Call, 'tenant'>;
  readonly snapshot: Snapshot;
}

/**
 * A secret as of the snapshot's epoch, if its rows are genuine: what it is called, under which key it is, and which version is which.
 * @throws StaleSnapshot, and KeywardError unavailable for a row that is not bound
 */
export async function findSecret(
  { secrets, proofs }: SecretSource,
  { call: { tenant }, snapshot: { rules } }: Reading,
  reference: string,
  which?: WhichVersion,
): Promise<FoundSecret | undefined> {
  if (rules.state === 'Unknown') return undefined;
  const { epoch, secret, version } = await secrets.secret(tenant, reference, which);
  if (epoch !== rules.epochs.tenant) throw new StaleSnapshot();
  if (secret === undefined) return undefined;
  await proofs.mustBeBound(
    { ...secretRow(tenant, secret), mac: secret.mac },
    { ...secretLabelsRow(tenant, secret), mac: secret.labelsMac },
  );
  // A genuine row in the place of another one is not the one that was asked for.
  const asked = which === undefined || 'versionId' in which ? which?.versionId : secret.labels[which.label];
  const isAsked = reference === secret.name || reference === secret.secretId;
  if (!isAsked || (version !== undefined && version.versionId !== asked))
    throw new KeywardError('unavailable', '', { reason: `binding-broken: secret ${secret.secretId}` });
  return { secret, version };
}

/** One of the caller's tenant. @throws KeywardError not-found */
export async function ownSecret(source: SecretSource, step: Reading, secretId: SecretId): Promise<StoredSecret> {
  const found = await findSecret(source, step, secretId);
  if (found === undefined) throw new KeywardError('not-found', 'There is no such secret.', { reason: 'unknown-secret' });
  return found.secret;
}

/** @throws KeywardError secret-pending-deletion */
export function mustBeKept({ deletionAt }: Pick<StoredSecret, 'deletionAt'>): void {
  if (deletionAt !== undefined) throw new KeywardError('secret-pending-deletion', 'Restore it first.');
}

export const CURRENT_VERSION: WhichVersion = { label: CURRENT };

export function describeSecret(secret: Omit<StoredSecret, 'mac' | 'labelsMac' | 'versions' | 'revision'>): SecretDescription {
  const {
    secretId,
    name,
    type,
    keyId,
    description,
    tags,
    labels,
    createdAt,
    deletionAt,
    rotation,
    rotationState,
    nextRotationAt,
    rotating,
  } = secret;
  return {
    ...{ secretId, name, type, state: deletionAt === undefined ? 'Active' : 'PendingDeletion', keyId, description },
    ...{ tags: { ...tags }, labels: { ...labels }, createdAt: createdAt.toISOString() },
    ...(deletionAt && { deletionAt: deletionAt.toISOString() }),
    ...(rotation && {
      rotation: {
        ...{ policy: rotation, state: rotationState, ...(nextRotationAt && { nextRotationAt: nextRotationAt.toISOString() }) },
        ...(rotating && describeProgress(rotating)),
      },
    }),
  };
}

const describeProgress = ({ phase, failures, lastError, nextStepAt }: NonNullable<StoredSecret['rotating']>) => ({
  ...{ phase, failures },
  ...(lastError !== undefined && { lastError }),
  ...(nextStepAt && { nextStepAt: nextStepAt.toISOString() }),
});
