import { keyNamesRow } from '../bound-rows.js';
import { InvalidRequest } from '../errors.js';
import { pemOf } from '../pem.js';
import { drawnAt, newKeyVersionId } from '../identifiers.js';
import { mustAllow } from '../key-states.js';
import type { Handlers } from '../pipeline.js';
import type { Custody, RuleBindings } from '../ports/custody.js';
import type { Reads } from '../ports/reads.js';
import { recordedVersion, saying } from '../record.js';
import type { SnapshotKey } from '../snapshot.js';
import { describeKey } from './describe-key.js';
import { ownKey } from './own-key.js';

export interface KeyVersionParts {
  readonly custody: Custody & Pick<RuleBindings, 'bindRule'>;
  readonly reads: Pick<Reads, 'keyVersions' | 'root'>;
}

/** Whoever verifies has to learn of every new public key: there are few, and not one soon after the other. */
const PAIRS = { mostVersions: 50, apartDays: 7 } as const;
/** Of every other key: each decision that is not cached reads all of them. A new one a week for 19 years. */
const MOST_VERSIONS = 1000;
const DAY_MS = 86_400_000;

/** A key's versions: the newest is primary, the others go on opening what they sealed. */
export function keyVersionHandlers({
  custody,
  reads,
}: KeyVersionParts): Handlers<'CreateKeyVersion' | 'ListKeyVersions' | 'DescribePublicKey'> {
  return {
    CreateKeyVersion: async (step) => {
      const { call, input, now, snapshot, permit } = step;
      const key = await ownKey(step, input.keyId);
      mustAllow(step.operation, key);
      if (key.versions.get(key.primaryVersion)?.origin === 'EXTERNAL')
        throw new InvalidRequest([{ field: 'keyId', message: 'has imported material: import its next version' }]);
      mustBeFew(key);
      if (isPair(key)) mustBeDue(key, now, input.reason);
      const { keySpec: spec, keyUsage: usage } = describeKey(key, key.versions.values());
      const versionId = newKeyVersionId(now);
      const draft = { tenant: call.tenant, keyId: key.keyId, versionId, spec, usage, logId: snapshot.rules.log.logId };
      const { token: hsm } = await custody.capabilities();
      const version = await custody.createKeyVersion(
        permit({ versionId }),
        { ...draft, origin: 'KEYWARD' },
        (await reads.root(call.tenant)).number,
      );
      const moved = { ...key, primaryVersion: versionId, exhausted: false };
      const namesMac = await custody.bindRule(permit(), keyNamesRow(call.tenant, moved));
      return {
        answer: describeKey(moved, [version]),
        details: {
          key: { id: key.keyId, ...recordedVersion(version), state: key.state },
          change: { primaryVersion: { before: key.primaryVersion, after: versionId }, protectionLevel: version.protectionLevel },
          hsm,
          ...saying(input.reason),
        },
        apply: async (writes) => {
          await writes.insertKeyVersion(version);
          await writes.updateKey(key.keyId, { primaryVersion: versionId, namesMac });
        },
      };
    },

    /** Of a key in any state: what it signed can still be checked. */
    DescribePublicKey: async (step) => {
      const key = await ownKey(step, step.input.keyId);
      const versionId = step.input.keyVersionId ?? key.primaryVersion;
      const version = key.versions.get(versionId);
      if (version === undefined) throw new InvalidRequest([{ field: 'keyVersionId', message: 'is no version of this key' }]);
      if (version.publicKey === undefined) throw new InvalidRequest([{ field: 'keyId', message: `is a key for ${version.usage}` }]);
      const publicKey = Buffer.from(await custody.publicKey(step.permit({ versionId }), version));
      return {
        answer: {
          keyId: key.keyId,
          keyVersionId: versionId,
          keySpec: version.spec,
          publicKey: publicKey.toString('base64'),
          pem: pemOf(publicKey),
        },
        details: { key: { id: key.keyId, versionId, state: key.state } },
      };
    },

    ListKeyVersions: async (step) => {
      const { keyId, ...query } = step.input;
      const key = await ownKey(step, keyId);
      return { answer: await reads.keyVersions(step.call.tenant, keyId, query), details: { key: { id: key.keyId, state: key.state } } };
    },
  };
}

const isPair = ({ versions, primaryVersion }: SnapshotKey): boolean => versions.get(primaryVersion)?.publicKey !== undefined;

/** @throws InvalidRequest */
export function mustBeFew(key: SnapshotKey): void {
  const most = isPair(key) ? PAIRS.mostVersions : MOST_VERSIONS;
  if (key.versions.size >= most)
    throw new InvalidRequest([{ field: 'keyId', message: `has ${most} versions, as many as a key of its kind may have` }]);
}

/** @throws InvalidRequest unless a reason is told */
function mustBeDue({ primaryVersion }: SnapshotKey, now: number, reason: string | undefined): void {
  if (reason === undefined && now - drawnAt(primaryVersion).getTime() < PAIRS.apartDays * DAY_MS)
    throw new InvalidRequest([{ field: 'reason', message: `is needed: the newest version is not ${PAIRS.apartDays} days old` }]);
}
