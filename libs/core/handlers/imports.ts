import { IMPORT_TOKEN_HOURS, type KeyId, type KeyState, type KeyVersionId, type TenantId } from '#contract';
import { keyNamesRow } from '../bound-rows.js';
import { InvalidRequest } from '../errors.js';
import { newImportToken, newKeyVersionId } from '../identifiers.js';
import { mustAllow } from '../key-states.js';
import type { Handlers } from '../pipeline.js';
import type { CustodyCapabilities, KeyImports, RuleBindings } from '../ports/custody.js';
import type { Reads } from '../ports/reads.js';
import { recordedVersion } from '../record.js';
import type { SnapshotKey, UsableVersion } from '../snapshot.js';
import { checkValueOf, describeKey } from './describe-key.js';
import { ownKey, storedKey } from './own-key.js';

export interface ImportParts {
  readonly custody: KeyImports & Pick<RuleBindings, 'bindRule'> & { capabilities(): Promise<CustodyCapabilities> };
  readonly reads: Pick<Reads, 'keyImport' | 'keyPast' | 'logKey' | 'root'>;
}

const HOUR_MS = 3_600_000;
type ImportOperation = 'GetImportParameters' | 'ImportKeyMaterial' | 'DeleteImportedKeyMaterial';

/** Material from outside: its wrapping key, its coming, its going. */
export function importHandlers({ custody, reads }: ImportParts): Handlers<ImportOperation> {
  const stateWithMaterial = async (tenant: TenantId, keyId: KeyId): Promise<KeyState> => {
    const { stateBefore = 'Enabled' } = await reads.keyPast(tenant, keyId);
    return stateBefore === 'PendingImport' ? 'Enabled' : stateBefore;
  };
  return {
    /** For the version that waits for its material, or else for a new one. */
    GetImportParameters: async ({ operation, input, call, snapshot, now, permit }) => {
      const key = await ownKey({ operation, snapshot, now }, input.keyId);
      mustAllow(operation, key);
      const primary = externalVersion(key);
      const { algorithm } = input;
      const refusal = (await custody.capabilities()).algorithms[algorithm];
      if (refusal !== undefined) throw new InvalidRequest([{ field: 'algorithm', message: `the HSM cannot do it: ${refusal}` }]);
      if (algorithm.startsWith('RSAES') && primary.usage !== 'GENERATE_VERIFY_MAC' && !primary.spec.startsWith('AES'))
        throw new InvalidRequest([{ field: 'algorithm', message: 'is for symmetric keys: private keys need RSA_AES_KEY_WRAP' }]);
      const versionId = key.state === 'PendingImport' ? primary.versionId : newKeyVersionId(now);
      const { rules } = snapshot;
      // While one log key takes over from the other, whoever pinned either can check it.
      const { number, overlaps } = await reads.logKey(call.tenant);
      const { bound, statement } = await custody.createImport(
        permit({ versionId }),
        {
          ...{ tenant: call.tenant, importToken: newImportToken(now), keyId: key.keyId, versionId, logId: rules.log.logId },
          ...{ spec: primary.spec, usage: primary.usage, algorithm, expiresAt: now + IMPORT_TOKEN_HOURS * HOUR_MS },
        },
        { origin: rules.log.origin, keys: overlaps ? [number - 1, number] : [number] },
        (await reads.root(call.tenant)).number,
      );
      const { importToken } = bound;
      const expiresAt = new Date(bound.expiresAt).toISOString();
      return {
        answer: { keyId: key.keyId, keyVersionId: versionId, importToken, algorithm, expiresAt, statement },
        details: { key: { id: key.keyId, versionId, state: key.state }, change: { importToken, algorithm, expiresAt } },
        apply: (writes) => writes.insertImport(bound),
      };
    },

    /** The primary version moves, or comes to life, only when its material has proven itself. */
    ImportKeyMaterial: async ({ operation, input, call, snapshot, now, permit }) => {
      const key = await ownKey({ operation, snapshot, now }, input.keyId);
      mustAllow(operation, key);
      const bound = await reads.keyImport(call.tenant, input.importToken);
      if (bound?.keyId !== key.keyId) throw wrongToken('is not one of this key');
      if (bound.usedAt !== undefined) throw wrongToken('was used');
      if (bound.expiresAt <= now) throw wrongToken('has expired');
      // Else the version whose material is away would be primary no more, and nothing could bring it back.
      if (key.state === 'PendingImport' && bound.versionId !== key.primaryVersion)
        throw wrongToken('is for another version than the one whose material is missing');
      const filled = key.versions.get(bound.versionId);
      if (filled !== undefined && key.state !== 'PendingImport') throw wrongToken('is for a version that has its material');
      const { versionId } = bound;
      const version = await custody.importKeyMaterial(permit({ versionId }), bound, {
        encrypted: input.encryptedKeyMaterial,
        publicKey: input.publicKey,
        validTo: validTo(input.validTo, now),
        before: filled,
        root: (await reads.root(call.tenant)).number,
      });
      // One that was disabled before its material ended is disabled still.
      const { state: stored } = await storedKey(snapshot, key);
      const state = stored === 'PendingImport' ? await stateWithMaterial(call.tenant, key.keyId) : stored;
      // The same material has sealed what it sealed.
      const exhausted = key.exhausted === true && versionId === key.primaryVersion;
      const moved: SnapshotKey = { ...key, primaryVersion: versionId, state, exhausted };
      const namesMac = await custody.bindRule(permit(), keyNamesRow(call.tenant, moved));
      const check = version.imported?.check ?? new Uint8Array(0);
      return {
        answer: describeKey(moved, [version]),
        details: {
          key: { id: key.keyId, ...recordedVersion(version), state: moved.state },
          change: {
            ...{ importToken: bound.importToken, algorithm: bound.algorithm, checkValue: checkValueOf(check) },
            ...(input.validTo !== undefined && { validTo: input.validTo }),
            ...(version.imported?.inMemory === true && { inMemory: true }),
            ...(versionId !== key.primaryVersion && { primaryVersion: { before: key.primaryVersion, after: versionId } }),
          },
        },
        apply: async (writes) => {
          await writes.spendImport(bound.importToken, new Date(now));
          if (filled === undefined) await writes.insertKeyVersion(version);
          else await writes.putMaterial(version);
          await writes.updateKey(key.keyId, { primaryVersion: versionId, state, stateBefore: null, namesMac });
        },
      };
    },

    /** Of the primary version: from its return on no replica uses the key. Only the same material comes back. */
    DeleteImportedKeyMaterial: async ({ operation, input, snapshot, now, permit }) => {
      const key = await ownKey({ operation, snapshot, now }, input.keyId);
      mustAllow(operation, key);
      const primary = externalVersion(key);
      const emptied = await custody.emptyKeyVersion(permit({ versionId: primary.versionId }), primary);
      const { state: stored } = await storedKey(snapshot, key);
      const state = stored === 'PendingDeletion' ? stored : 'PendingImport';
      const isAway = stored === 'PendingDeletion' || stored === 'PendingImport';
      return {
        answer: describeKey({ ...key, state }, [emptied]),
        details: {
          key: { id: key.keyId, ...recordedVersion(primary), state },
          change: { state: { before: key.state, after: state } },
        },
        apply: async (writes) => {
          await writes.putMaterial(emptied);
          await writes.updateKey(key.keyId, isAway ? { state } : { state, stateBefore: stored });
        },
      };
    },
  };
}

const wrongToken = (message: string) => new InvalidRequest([{ field: 'importToken', message }]);

function externalVersion(key: SnapshotKey): UsableVersion {
  const primary: UsableVersion | undefined = key.versions.get(key.primaryVersion satisfies KeyVersionId);
  if (primary?.origin !== 'EXTERNAL') throw new InvalidRequest([{ field: 'keyId', message: 'was made in the HSM: nothing is imported' }]);
  return primary;
}

function validTo(text: string | undefined, now: number): number {
  if (text === undefined) return 0;
  const at = Date.parse(text);
  if (at <= now) throw new InvalidRequest([{ field: 'validTo', message: 'must be in the future' }]);
  return at;
}
