import type { DataOperation, EncryptionContext, Justification, KeyId, KeyVersionId, SecretUse } from '#contract';
import { authz, decideUse, explained, type Refusal, refusalByCatalogue, refusalByRules } from './decide.js';
import { earliest } from './earliest.js';
import { KeywardError, Refused } from './errors.js';
import type { Step } from './handler.js';
import { stateOf } from './imported.js';
import type { GrantPolicy, GrantRequest, LimitedGrant } from './ports/grants.js';
import type { StoredSecret } from './ports/secrets.js';
import { subjectOf } from './principal.js';
import { type RecordDetails, recordedVersion } from './record.js';
import { type Snapshot, type SnapshotKey, UNCHECKED, type UsableVersion } from './snapshot.js';

/** What a value needs of its key, besides the grant of the secret itself. */
export type SealingUse = Extract<DataOperation, 'Decrypt' | 'GenerateDataKey'>;

export interface SecretVerdict {
  readonly details: RecordDetails;
  readonly validUntil: number | undefined;
  /** Undefined: it is allowed. */
  readonly error: KeywardError | undefined;
  readonly charges: readonly LimitedGrant[];
}
export type SecretKeyVerdict = SecretVerdict & { readonly key?: SnapshotKey | undefined; readonly version?: UsableVersion | undefined };

type Asking = Pick<Step<SecretUse>, 'operation' | 'principal' | 'call' | 'snapshot' | 'now'> & {
  readonly justification: Justification | undefined;
};

/**
 * May this caller do this with this secret? A service by a grant that names the secret, an admin with those of the own tenant.
 * To a service, unknown, foreign and not granted look alike.
 */
export function decideSecret(asking: Asking, secret: StoredSecret | undefined, context: EncryptionContext): SecretVerdict {
  const { operation, principal, call, snapshot, now, justification } = asking;
  const { rules, policy } = snapshot;
  const about = secret && { secret: { id: secret.secretId, name: secret.name } };
  if (principal.role !== 'service') {
    const error =
      secret === undefined ? new KeywardError('not-found', 'There is no such secret.', { reason: 'unknown-secret' }) : undefined;
    return { details: { ...about }, validUntil: undefined, error, charges: [] };
  }
  const policyVersion = rules.policy?.version;
  const denied = { authz: { decision: 'deny' as const, ...(policyVersion !== undefined && { policyVersion }) } };
  const byCatalogue = refusalByCatalogue(rules, principal.name, operation);
  if (byCatalogue !== undefined) return refused(byCatalogue, denied);
  if (secret === undefined) {
    const reason = rules.state === 'Unknown' ? 'unknown-tenant' : 'unknown-secret';
    return refused({ code: 'not-granted', reason }, denied);
  }
  const request: GrantRequest = {
    ...{ subject: subjectOf(principal), operation, keyId: undefined, secret: secret.name, aliases: [], tags: {}, context },
    ...{ at: now, sourceAddress: call.sourceAddress, authMethod: principal.authMethod, justification: justification ?? null },
  };
  const decision = policy.decide(request);
  const no = refusalByRules(operation, decision, rules, { state: 'Enabled' });
  const told = no?.reason === 'no-grant' ? explained(policy, request) : undefined;
  const details = { ...about, authz: { ...authz(decision, no === undefined, policyVersion), ...told?.authz } };
  if (no !== undefined) return refused({ ...no, why: no.why ?? told?.why }, details, decision.validUntil);
  return { details, validUntil: decision.validUntil, error: undefined, charges: decision.limited };
}

/**
 * And may it use the key that seals the secret's values? Its state, the stops and the operator's suspension count for everybody, so that
 * a stopped key makes its secrets unreadable at once; a service needs a grant of the key besides.
 */
export async function decideSecretKey(
  grants: GrantPolicy,
  asking: Asking,
  of: SecretVerdict,
  wish: {
    readonly use: SealingUse;
    readonly keyId: KeyId;
    /** Default: the primary one. */
    readonly versionId: KeyVersionId | undefined;
    readonly context: EncryptionContext;
  },
): Promise<SecretKeyVerdict> {
  const { principal, call, snapshot, now, justification } = asking;
  const { use, keyId, versionId, context } = wish;
  if (principal.role !== 'service') return await ownKeyUse(grants, 'admin', snapshot, wish, now, of);
  const decision = await decideUse(
    use,
    principal,
    call,
    { lookup: { reference: keyId }, context, justification, versionId },
    snapshot,
    now,
  );
  const { key, crypto, authz: ofKey } = decision.details;
  const { ruleId: keyRuleId, policyVersion: _, ...why } = ofKey ?? { decision: 'deny' as const };
  const details = {
    ...of.details,
    ...{ ...(key && { key }), ...(crypto && { crypto }) },
    authz: { ...of.details.authz, ...why, ...(keyRuleId !== undefined && { keyRuleId }) },
  };
  const validUntil = earliest([of.validUntil, decision.validUntil]);
  if (!decision.allowed) return { details, validUntil, error: decision.error, charges: [] };
  const charges = paidOnce(of.charges, decision.charges);
  if (charges === undefined) return refused({ code: 'not-granted', reason: 'limits-of-two-grants' }, details, validUntil);
  return { details, validUntil, error: undefined, charges, key: decision.key, version: decision.version };
}

/**
 * What somebody does with a tenant's key for the tenant itself, without a grant of the policy: `subject` is `admin` or `worker`. Stops,
 * the suspension and the key's state decide, by the same evaluator as every use; guardrails speak of services.
 */
export async function ownKeyUse(
  grants: GrantPolicy,
  subject: 'admin' | 'worker',
  snapshot: Pick<Snapshot, 'rules' | 'key' | 'context'>,
  { use, keyId, versionId, context }: Parameters<typeof decideSecretKey>[3],
  now: number,
  of: Pick<SecretVerdict, 'details'>,
): Promise<SecretKeyVerdict> {
  const { rules } = snapshot;
  const key = await snapshot.key({ reference: keyId });
  if (key === undefined) throw new KeywardError('not-found', 'There is no such key.', { reason: 'unknown-key' });
  if (key.unproven === true) throw new KeywardError('unavailable', '', { reason: UNCHECKED });
  const { tenant, stops } = rules;
  const generated = [{ id: `own:${keyId}`, subject, keyId, operation: use, conditions: '' }];
  const decision = grants.compile({ tenant, document: undefined, stops, generated }).decide({
    ...{ subject, operation: use, keyId, aliases: key.aliases, tags: key.tags, context, at: now },
    ...{ sourceAddress: undefined, authMethod: undefined, justification: null },
  });
  const version = key.versions.get(versionId ?? key.primaryVersion);
  const state = stateOf(key, version, now);
  const byRules = refusalByRules(use, decision, rules, { state });
  const isExhausted = key.exhausted === true && use === 'GenerateDataKey';
  const unable = version === undefined ? 'key-destroyed' : isExhausted ? 'key-exhausted' : undefined;
  const no: Refusal | undefined = byRules ?? (unable && { code: unable, reason: unable });
  const details = {
    ...of.details,
    key: { id: keyId, ...recordedVersion(version), state },
    crypto: { context: snapshot.context(context).digests },
    ...(decision.stop !== undefined && { authz: authz({ ...decision, grant: undefined }, false, undefined) }),
  };
  if (no !== undefined) return refused({ ...no, why: undefined }, details);
  return { details, validUntil: undefined, error: undefined, charges: [], key, version };
}

/** What a put of a service is refused for, whatever it is granted. A limit is counted with a record alone, and a put is more than that. */
export function refusalOfPut(
  secret: Pick<StoredSecret, 'rotation' | 'connects'>,
  byService: boolean,
  charges: readonly LimitedGrant[],
): string | undefined {
  if (charges.length > 0) return 'limited-grant-of-a-change';
  const isOfRotation = secret.rotation?.connectionSecret !== undefined || secret.connects === true;
  return byService && isOfRotation ? 'value-of-a-rotation' : undefined;
}

/** What each use of a value needs of the secret's key. */
export const SEALING_USES = { GetSecretValue: 'Decrypt', PutSecretValue: 'GenerateDataKey' } as const satisfies Partial<
  Record<SecretUse, SealingUse>
>;

/** One call pays one grant: where both the secret's and the key's are limited, it has to be the same. Undefined: it is not. */
export function paidOnce(ofSecret: readonly LimitedGrant[], ofKey: readonly LimitedGrant[]): readonly LimitedGrant[] | undefined {
  if (ofSecret.length === 0 || ofKey.length === 0) return [...ofSecret, ...ofKey];
  const both = ofSecret.filter(({ ruleId }) => ofKey.some((other) => other.ruleId === ruleId));
  return both.length === 0 ? undefined : both;
}

const refused = ({ code, reason, why }: Refusal, details: RecordDetails, validUntil?: number): SecretVerdict => ({
  error: new Refused(code, '', { reason, why }),
  ...{ details, validUntil, charges: [] },
});
