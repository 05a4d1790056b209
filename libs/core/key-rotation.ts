import type { KeyRotation, KeyVersionId, WorkerOperation } from '#contract';
import { isCipherSpec } from './ciphertext.js';
import { type Refusal, refusalByRules } from './decide.js';
import { InvalidRequest } from './errors.js';
import { drawnAt } from './identifiers.js';
import type { GeneratedGrant, GrantPolicy } from './ports/grants.js';
import type { StoredRotation, TenantRules } from './ports/rules.js';
import type { SnapshotKey } from './snapshot.js';

const DAY_MS = 86_400_000;

/** What a decision about a rotation reads of a key. */
type RotatingKey = Pick<SnapshotKey, 'keyId' | 'state' | 'aliases' | 'tags'> & {
  readonly rotation?: Pick<StoredRotation, 'intervalDays'> | undefined;
};

/** The newest version's birth and the interval: a version that was asked for in between counts. */
export const nextRotation = (primaryVersion: KeyVersionId, intervalDays: number): Date =>
  new Date(drawnAt(primaryVersion).getTime() + intervalDays * DAY_MS);

/** Its older versions go on opening what they sealed, because every ciphertext names its version. @throws InvalidRequest for a key without that */
export function mustRotateByItself({ versions, primaryVersion }: Pick<SnapshotKey, 'versions' | 'primaryVersion'>): void {
  const primary = versions.get(primaryVersion);
  const no = (why: string) => new InvalidRequest([{ field: 'keyId', message: `is not rotated automatically: ${why}` }]);
  if (primary?.origin === 'EXTERNAL') throw no('it has imported material; import its next version');
  if (primary?.publicKey !== undefined) throw no('whoever has its public key would have to learn of the next one');
  if (primary === undefined || !isCipherSpec(primary.spec)) throw no('its MACs do not name the version that verifies them');
}

/** The worker, as rules name it. No service has such a name: theirs begin with `svc:`. */
const WORKER = 'worker';

/** The rule that a rotation policy is: the worker may give this key its next version, and do nothing else with it. Undefined: there is none. */
export const rotationGrant = ({ keyId, rotation }: RotatingKey): (GeneratedGrant & { readonly operation: WorkerOperation }) | undefined =>
  rotation?.intervalDays === undefined
    ? undefined
    : { id: `rotation:${keyId}`, subject: WORKER, keyId, operation: 'RotateKey', conditions: `every ${rotation.intervalDays} days` };

/**
 * What keeps a key from being rotated now. The policy's own rule and the tenant's stops decide, by the same evaluator as every use;
 * guardrails speak of services, and a rotation has no label, so no stop of one covers it.
 */
export function rotationRefusal(
  grants: GrantPolicy,
  rules: Pick<TenantRules, 'tenant' | 'stops' | 'suspended'>,
  key: RotatingKey,
  now: number,
): Refusal | undefined {
  const generated = [rotationGrant(key)].filter((rule) => rule !== undefined);
  const { tenant, stops } = rules;
  const decision = grants.compile({ tenant, document: undefined, stops, generated }).decide({
    ...{ subject: WORKER, operation: 'RotateKey', keyId: key.keyId, aliases: key.aliases, tags: key.tags, context: {}, at: now },
    ...{ sourceAddress: undefined, authMethod: undefined, justification: null },
  });
  return refusalByRules('CreateKeyVersion', decision, rules, key);
}

const SUSPENDED_BY: Readonly<Record<string, KeyRotation['suspendedBy']>> = { stopped: 'stop', 'tenant-suspended': 'tenant-suspended' };

/** A key's rotation as its admins see it. */
export function describeRotation(
  grants: GrantPolicy,
  rules: Pick<TenantRules, 'tenant' | 'stops' | 'suspended'>,
  key: RotatingKey & Pick<SnapshotKey, 'primaryVersion' | 'rotation'>,
  now: number,
): KeyRotation {
  const { version = 0, intervalDays } = key.rotation ?? {};
  if (intervalDays === undefined) return { version, status: 'Disabled' };
  const refusal = rotationRefusal(grants, rules, key, now);
  return {
    ...{ version, status: refusal === undefined ? 'Enabled' : 'Suspended', intervalDays },
    nextRotationAt: nextRotation(key.primaryVersion, intervalDays).toISOString(),
    ...(refusal && { suspendedBy: SUSPENDED_BY[refusal.reason] ?? 'key-state' }),
  };
}
