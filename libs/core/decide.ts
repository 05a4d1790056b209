import {
  type DataOperation,
  type GrantedOperation,
  type EncryptionAlgorithm,
  type EncryptionContext,
  ENCRYPTS_WITH,
  type Justification,
  type KeyState,
  type KeyUsage,
  type KeyVersionId,
  type Lease,
  LONGEST_LEASE,
  type OperationName,
  type ProblemCode,
  type RefusalReason,
  type RuleVerdict,
  type SigningAlgorithm,
  SIGNS_WITH,
} from '#contract';
import type { Call } from './call.js';
import { DecryptFailed, InvalidRequest, KeywardError, Refused } from './errors.js';
import { refusalByState } from './key-states.js';
import { endOf, stateOf } from './imported.js';
import type { OperationRow } from './operation-table.js';
import type { CompiledPolicy, GrantDecision, GrantRequest, LimitedGrant } from './ports/grants.js';
import type { KeyLookup, TenantRules } from './ports/rules.js';
import { type Principal, subjectOf } from './principal.js';
import { type RecordDetails, recordedVersion } from './record.js';
import { type Snapshot, type SnapshotKey, UNCHECKED, type UsableVersion } from './snapshot.js';

/** What a data operation wants to do, before anybody agreed. */
export interface Wish {
  readonly lookup: KeyLookup;
  /** Undefined for an operation that has none: it meets no condition on one, and every stop of one. */
  readonly context: EncryptionContext | undefined;
  readonly justification: Justification | undefined;
  /** What the ciphertext holds. */
  readonly mode?: 'direct' | 'data-key' | undefined;
  /** The record's bucket of the plaintext's size. */
  readonly size?: string | undefined;
  /** An assertion of the caller: the key must be this one. */
  readonly assertedKey?: string | undefined;
  /** What a key has to be able to sign, or encrypt, with. */
  readonly algorithm?: SigningAlgorithm | EncryptionAlgorithm | undefined;
  /** Of the key that `lookup` names; default: the primary one. */
  readonly versionId?: KeyVersionId | undefined;
}

export type UseDecision = {
  readonly details: RecordDetails;
  /** Milliseconds; the record is refused after it. */
  readonly validUntil: number | undefined;
} & (
  | {
      readonly allowed: true;
      readonly key: SnapshotKey;
      readonly version: UsableVersion;
      readonly charges: readonly LimitedGrant[];
      readonly lease: Lease;
    }
  | { readonly allowed: false; readonly error: KeywardError }
);

/** A decision, what its record will say, and what a ciphertext under it is bound to. */
export interface Decided {
  readonly decision: UseDecision;
  readonly details: RecordDetails;
  /** The same, once something is answered that may be kept for a while. */
  readonly leased: RecordDetails;
  /** Of what is allowed to have one: an encryption or a decryption. */
  readonly aad: Uint8Array | undefined;
}

/** Why not: what the caller is told, what the record keeps, and what a caller may be told who is named by a grant. */
export interface Refusal {
  readonly code: ProblemCode;
  readonly reason: string;
  readonly why?: RefusalReason | undefined;
}

/**
 * The callers column: may this role, of this tenant, make this call at all?
 * Answers what to refuse with. People are told 404 for what is not theirs; the truth is in the reason.
 */
export function refusalByRole(row: OperationRow, principal: Principal, call: Pick<Call, 'tenant'>): KeywardError | undefined {
  if (!row.callers.includes(principal.role)) return new Refused('not-allowed', '', { reason: `role-${principal.role}` });
  if (principal.role !== 'service' && principal.tenant !== call.tenant) return new Refused('not-found', '', { reason: 'foreign-tenant' });
  return undefined;
}

/** The ISV's own rules about its service: they say nothing about the tenant, so the service may be told. */
export function refusalByCatalogue(rules: TenantRules, service: string, operation: GrantedOperation): Refusal | undefined {
  const entry = rules.services.get(service);
  if (entry?.suspended === true) return { code: 'not-granted', reason: 'service-suspended', why: 'service-suspended' };
  if (entry?.operations.includes(operation) !== true) return { code: 'not-granted', reason: 'not-in-catalogue', why: 'not-in-catalogue' };
  return undefined;
}

/** The tenant's rules and the key's state; only a caller whom a grant would allow learns of anything but `not-granted`. */
export function refusalByRules(
  operation: OperationName,
  decision: GrantDecision,
  { suspended }: Pick<TenantRules, 'suspended'>,
  key: { readonly state: KeyState },
): Refusal | undefined {
  if (decision.grant === undefined) return { code: 'not-granted', reason: 'no-grant' };
  if (decision.guardrail !== undefined) return { code: 'not-granted', reason: 'guardrail', why: 'guardrail' };
  if (decision.stop !== undefined) return { code: 'stopped', reason: 'stopped', why: 'stopped' };
  if (suspended) return { code: 'not-granted', reason: 'tenant-suspended', why: 'tenant-suspended' };
  const byState = refusalByState(operation, key.state);
  return byState && { code: byState, reason: byState, why: 'key-state' };
}

/** Of the grants that name the request, the one that came closest, and its conditions that were not as it asks. */
export function closestGrant(verdicts: readonly RuleVerdict[]): { readonly ruleId: string; readonly unmet: string[] } | undefined {
  const unmet = ({ conditions }: RuleVerdict) =>
    conditions.filter(({ in: place, truth }) => truth !== (place === 'when' ? 'true' : 'false')).map((one) => `${one.in}.${one.condition}`);
  const grants = verdicts.filter(({ effect }) => effect === 'allow').map((rule) => ({ ruleId: rule.ruleId, unmet: unmet(rule) }));
  return grants.sort((a, b) => a.unmet.length - b.unmet.length)[0];
}

/**
 * The tenant's rules and the ISV's: do both let this service do this with this key, now? Unknown key, foreign key and missing grant
 * look alike.
 */
export async function decideUse(
  operation: KeyUse,
  principal: Principal,
  call: Pick<Call, 'sourceAddress'>,
  wish: Wish,
  snapshot: Pick<Snapshot, 'rules' | 'policy' | 'key' | 'context'>,
  now: number,
): Promise<UseDecision> {
  const crypto = {
    ...(wish.context && { context: snapshot.context(wish.context).digests }),
    ...(wish.mode && { mode: wish.mode }),
    ...(wish.algorithm && { algorithm: wish.algorithm }),
    ...(wish.size !== undefined && { plaintextSize: wish.size }),
  };
  const refuse = ({ code, reason, why }: Refusal, details: RecordDetails = {}, validUntil?: number): UseDecision => ({
    allowed: false,
    error: new Refused(code, '', { reason, why }),
    details: { crypto, ...details },
    validUntil,
  });

  const { rules, policy } = snapshot;
  const policyVersion = rules.policy?.version;
  const denied = { authz: { decision: 'deny' as const, ...(policyVersion !== undefined && { policyVersion }) } };
  const byCatalogue = refusalByCatalogue(rules, principal.name, operation);
  if (byCatalogue !== undefined) return refuse(byCatalogue, denied);
  const key = await snapshot.key(wish.lookup);
  if (key === undefined)
    return refuse({ code: 'not-granted', reason: rules.state === 'Unknown' ? 'unknown-tenant' : 'unknown-key' }, denied);

  if (key.unproven === true) throw new KeywardError('unavailable', '', { reason: UNCHECKED });

  const asked = wish.versionId ?? ('versionId' in wish.lookup ? wish.lookup.versionId : key.primaryVersion);
  const version = key.versions.get(asked);
  const request: GrantRequest = {
    subject: subjectOf(principal),
    operation,
    keyId: key.keyId,
    aliases: key.aliases,
    tags: key.tags,
    context: wish.context,
    at: now,
    sourceAddress: call.sourceAddress,
    authMethod: principal.authMethod,
    justification: wish.justification ?? null,
  };
  const decision = policy.decide(request);
  const state = stateOf(key, version, now);
  const no = refusalByRules(operation, decision, rules, { state });
  const told = no?.reason === 'no-grant' ? explained(policy, request) : undefined;
  const details: RecordDetails = {
    key: keyDetails(key, wish, version),
    authz: { ...authz(decision, no === undefined, policyVersion), ...told?.authz },
  };
  if (no !== undefined) return refuse({ ...no, why: no.why ?? told?.why }, details, decision.validUntil);
  const unusable = unfit(operation, version, wish);
  if (unusable !== undefined) return { allowed: false, error: unusable, details: { crypto, ...details }, validUntil: decision.validUntil };
  if (version === undefined) return refuse({ code: 'key-destroyed', reason: 'version-destroyed', why: 'key-state' }, details);
  if (key.exhausted === true && SEALINGS.has(operation))
    return refuse({ code: 'key-exhausted', reason: 'key-exhausted', why: 'key-state' }, details, decision.validUntil);
  if (wish.assertedKey !== undefined && wish.assertedKey !== key.keyId && !key.aliases.some((name) => name === wish.assertedKey))
    return { allowed: false, error: new DecryptFailed('another-key'), details: { crypto, ...details }, validUntil: decision.validUntil };
  return {
    allowed: true,
    ...{ key, version, charges: decision.limited, lease: decision.lease ?? LONGEST_LEASE },
    details: { crypto, ...details },
    validUntil: earlier(decision.validUntil, endOf(version)),
  };
}

const earlier = (one: number | undefined, other: number | undefined): number | undefined =>
  one === undefined || other === undefined ? (one ?? other) : Math.min(one, other);

/** What takes another random IV under the primary version. */
const SEALINGS: ReadonlySet<KeyUse> = new Set(['Encrypt', 'GenerateDataKey', 'GenerateDataKeyWithoutPlaintext', 'ReEncryptTo']);

/** What a key has to be for: its usage, and whether it is a pair; undefined: either. */
interface Fitness {
  readonly usage: KeyUsage | undefined;
  readonly pair: boolean;
}
/** All that use a key. */
export type KeyUse = Exclude<DataOperation, 'GenerateRandom'>;
const CIPHER: Fitness = { usage: 'ENCRYPT_DECRYPT', pair: false };
const MAC: Fitness = { usage: 'GENERATE_VERIFY_MAC', pair: false };
const SIGNATURES: Fitness = { usage: 'SIGN_VERIFY', pair: true };
const RECIPIENT: Fitness = { usage: 'ENCRYPT_DECRYPT', pair: true };
const FITNESS: Readonly<Record<KeyUse, Fitness>> = {
  Encrypt: CIPHER,
  Decrypt: CIPHER,
  GenerateDataKey: CIPHER,
  GenerateDataKeyWithoutPlaintext: CIPHER,
  ReEncryptFrom: CIPHER,
  ReEncryptTo: CIPHER,
  GenerateMac: MAC,
  VerifyMac: MAC,
  Sign: SIGNATURES,
  Verify: SIGNATURES,
  GetPublicKey: { usage: undefined, pair: true },
  AsymmetricEncrypt: RECIPIENT,
  AsymmetricDecrypt: RECIPIENT,
};

/** What a caller whom a grant allows may be told of the key: it is for something else, or has no such version. */
function unfit(operation: KeyUse, version: UsableVersion | undefined, wish: Wish): KeywardError | undefined {
  if (version === undefined && wish.versionId !== undefined)
    return new InvalidRequest([{ field: 'keyVersionId', message: 'is no version of this key' }]);
  if (version === undefined) return undefined;
  const { usage = version.usage, pair } = FITNESS[operation];
  const isPair = version.publicKey !== undefined;
  if (version.usage !== usage || isPair !== pair)
    return new InvalidRequest([{ field: 'keyId', message: `is a key ${isPair ? 'pair ' : ''}for ${version.usage}` }]);
  if (wish.algorithm === undefined) return undefined;
  const able: readonly string[] = [...(SIGNS_WITH[version.spec] ?? []), ...(ENCRYPTS_WITH[version.spec] ?? [])];
  if (able.includes(wish.algorithm)) return undefined;
  return new InvalidRequest([{ field: 'algorithm', message: `is not one of a key of ${version.spec}` }]);
}

/** Whom a grant names, without its conditions being met: the caller learns that much, the record which ones. */
export function explained(policy: CompiledPolicy, request: GrantRequest) {
  const closest = closestGrant(policy.explain(request));
  return closest && { why: 'condition-not-met' as const, authz: closest };
}

export function authz(decision: GrantDecision, allowed: boolean, policyVersion: number | undefined): NonNullable<RecordDetails['authz']> {
  const ruleId = decision.guardrail ?? decision.grant;
  return {
    decision: allowed ? 'allow' : 'deny',
    ...(policyVersion !== undefined && { policyVersion }),
    ...(ruleId !== undefined && { ruleId }),
    ...(decision.stop !== undefined && { stopId: decision.stop }),
  };
}

function keyDetails(key: SnapshotKey, wish: Wish, version: UsableVersion | undefined): NonNullable<RecordDetails['key']> {
  const named = 'reference' in wish.lookup ? wish.lookup.reference : undefined;
  const aliasUsed = key.aliases.find((name) => name === named);
  return { id: key.keyId, ...recordedVersion(version), state: key.state, ...(aliasUsed && { aliasUsed }) };
}
