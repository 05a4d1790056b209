import type { KeyVersionId, VersionReference } from '#contract';
import { isOver, SECRET_USES } from '#contract';
import { InvalidRequest, KeywardError } from '../errors.js';
import { mustAllow } from '../key-states.js';
import type { Handlers, Step } from '../pipeline.js';
import type { KeyImports } from '../ports/custody.js';
import type { KeyUses, UseReads } from '../ports/reads.js';
import type { SecretReads } from '../ports/secrets.js';
import type { LastRewrap, OperationReads, UploadsOf } from '../ports/rewraps.js';
import { recordedVersion } from '../record.js';
import type { SnapshotKey, UsableVersion } from '../snapshot.js';
import { describeKey } from './describe-key.js';
import { mustBeMeant, mustBeUnprotected } from './managed-keys.js';
import { ownKey } from './own-key.js';

type VersionEnd = 'ListVersionReferences' | 'RetireKeyVersion';

export interface VersionEndParts {
  readonly custody: Pick<KeyImports, 'emptyKeyVersion'>;
  readonly operations: Pick<OperationReads, 'lastRewraps' | 'uploads' | 'movesOfSecrets'>;
  readonly uses: Pick<UseReads, 'keyUses'>;
  readonly secrets: Pick<SecretReads, 'sealedUnder'>;
}

/** The end of one version of a key: only when nothing is known to hang on it any more. */
export function versionEndHandlers({ custody, operations, uses, secrets }: VersionEndParts): Handlers<VersionEnd> {
  const referring = async ({ call: { tenant }, now }: Step<VersionEnd>, key: SnapshotKey, version: KeyVersionId) => {
    const used = await uses.keyUses(tenant, key.keyId, new Date(now));
    const rewraps = await operations.lastRewraps(tenant, key.keyId, version);
    const uploads = await operations.uploads(tenant, key.keyId, version);
    const sealed = await secrets.sealedUnder(tenant, version);
    const moves = await operations.movesOfSecrets(tenant, key.keyId, version);
    const ofSecrets = [
      ...moves.map((operationId) => ({ kind: 'open-operation' as const, operationId })),
      ...(sealed === 0 ? [] : [{ kind: 'secrets' as const, count: sealed }]),
    ];
    const references = [...ofKey(key, version, used, now), ...ofSecrets, ...ofServices(rewraps, used, version, uploads)];
    return { asOf: used.asOf, references };
  };
  return {
    ListVersionReferences: async (step) => {
      const { key, version } = await versionOf(step);
      const found = await referring(step, key, version.versionId);
      return { answer: { keyId: key.keyId, keyVersionId: version.versionId, ...found }, details: toldOf(key, version) };
    },

    /** Its material is gone with the change's commit: no snapshot that has it is accepted afterwards. */
    RetireKeyVersion: async (step) => {
      const { key, version } = await versionOf(step);
      mustAllow(step.operation, key);
      if (step.input.confirm !== version.versionId)
        throw new InvalidRequest([{ field: 'confirm', message: 'must be the version that is to be retired' }]);
      mustBeMeant(key, step.input.service);
      mustBeUnprotected(key);
      const { references, asOf } = await referring(step, key, version.versionId);
      const [first] = references;
      if (first !== undefined)
        throw new KeywardError('state-unchangeable', `Something is known to need it: ${references.map(({ kind }) => kind).join(', ')}.`, {
          reason: `version-referenced: ${first.kind}`,
        });
      const emptied = await custody.emptyKeyVersion(step.permit({ versionId: version.versionId }), version);
      return {
        answer: describeKey(key, key.versions.values()),
        details: { ...toldOf(key, version), change: { retired: version.versionId, asOf } },
        apply: (writes) => writes.putMaterial(emptied, asOf),
      };
    },
  };
}

/** What these left is counted as it is: the secrets' own rows. */
const OF_SECRETS: ReadonlySet<string> = new Set(SECRET_USES);

const toldOf = (key: SnapshotKey, version: UsableVersion) => ({ key: { id: key.keyId, ...recordedVersion(version), state: key.state } });

/** @throws KeywardError not-found, InvalidRequest for a key whose ciphertexts cannot be moved */
async function versionOf(step: Step<VersionEnd>): Promise<{ readonly key: SnapshotKey; readonly version: UsableVersion }> {
  const key = await ownKey(step, step.input.keyId);
  const version = key.versions.get(step.input.keyVersionId);
  if (version === undefined) throw new KeywardError('not-found', 'The key has no such version.', { reason: 'unknown-version' });
  if (version.usage !== 'ENCRYPT_DECRYPT' || version.publicKey !== undefined)
    throw new InvalidRequest([{ field: 'keyVersionId', message: 'is of a key whose versions end with it' }]);
  return { key, version };
}

function ofKey(key: SnapshotKey, version: KeyVersionId, { asOf, size, leases, leasesComplete }: KeyUses, now: number): VersionReference[] {
  const held = leases.filter(({ until }) => Date.parse(until) > now);
  return [
    ...(version === key.primaryVersion ? [{ kind: 'primary' as const }] : []),
    ...(asOf < size ? [{ kind: 'not-counted' as const }] : []),
    ...held.map(({ service, count, until }) => ({ kind: 'leases' as const, service, count, at: new Date(until).toISOString() })),
    ...(leasesComplete ? [] : [{ kind: 'leases' as const }]),
  ];
}

function ofServices(
  rewraps: readonly LastRewrap[],
  { uses, asOf }: KeyUses,
  version: KeyVersionId,
  uploads: readonly UploadsOf[],
): VersionReference[] {
  const lastUses = new Map<string, string>();
  const used = (service: string, at = '') => void (at > (lastUses.get(service) ?? '') && lastUses.set(service, at));
  for (const { service, operation, versionId, lastUse } of uses)
    if (!OF_SECRETS.has(operation) && versionId === version) used(service, lastUse);
  // What the worker puts under a version for a service is there as if the service had.
  for (const { service, into, sealedAt } of uploads) if (into) used(service, sealedAt);
  const last = new Map<string, LastRewrap>(rewraps.map((one) => [one.service, one]));
  return [
    ...uploads.flatMap((upload) => ofUpload(upload, last.get(upload.service))),
    ...[...new Set([...lastUses.keys(), ...last.keys()])].flatMap((service) =>
      ofService(service, last.get(service), lastUses.get(service), asOf),
    ),
  ];
}

/** Beside what is told of it as a re-wrap from the version: it is under way to it, or it left what nobody acknowledged. */
function ofUpload({ operationId, service, isOpen, endedAt = '', into, held }: UploadsOf, last: LastRewrap | undefined): VersionReference[] {
  if (into) return isOpen ? [{ kind: 'open-operation', service, operationId }] : [];
  const isMovedSince = last?.state === 'succeeded' && last.progress.done > 0 && (last.endedAt ?? '') > endedAt;
  return isOpen || held === 0 || isMovedSince ? [] : [{ kind: 'uploaded', service, operationId, count: held }];
}

function ofService(service: string, last: LastRewrap | undefined, lastUse: string | undefined, asOf: number): VersionReference[] {
  if (last === undefined) return lastUse === undefined ? [] : [{ kind: 'not-moved', service, at: lastUse }];
  const { operationId, state, endedAt = '', records, progress } = last;
  if (!isOver(state)) return [{ kind: 'open-operation', service, operationId }];
  if (state === 'failed') return [{ kind: 'failed-items', service, operationId, count: progress.failed }];
  if (records === undefined || asOf <= records.last) return [{ kind: 'not-counted', service, operationId }];
  if (lastUse === undefined) return [];
  // It used the version, and showed nothing: whatever its use left is where it was.
  if (progress.done === 0) return [{ kind: 'not-moved', service, operationId, at: lastUse }];
  return lastUse > endedAt ? [{ kind: 'used-since', service, operationId, at: lastUse }] : [];
}
