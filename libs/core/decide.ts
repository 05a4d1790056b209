import { type DataOperation, type EncryptionContext, type KeyState, type KeyVersionId, type ProblemCode } from '#contract';
import type { Call } from './call.js';
import { DecryptFailed, type KeywardError, Refused } from './errors.js';
import { OPERATIONS, type OperationRow } from './operation-table.js';
import type { GrantDecision } from './ports/grants.js';
import type { KeyLookup } from './ports/rules.js';
import { type Principal, subjectOf } from './principal.js';
import type { RecordDetails } from './record.js';
import type { Snapshot, SnapshotKey, UsableVersion } from './snapshot.js';

/** What a data operation wants to do, before anybody agreed. */
export interface Wish {
  readonly lookup: KeyLookup;
  readonly context: EncryptionContext;
  /** The record's bucket of the plaintext's size. */
  readonly size?: string | undefined;
  /** An assertion of the caller: the key must be this one. */
  readonly assertedKey?: string | undefined;
}

export type UseDecision = {
  readonly details: RecordDetails;
  /** Milliseconds; the record is refused after it. */
  readonly validUntil: number | undefined;
} & (
  | { readonly allowed: true; readonly key: SnapshotKey; readonly version: UsableVersion }
  | { readonly allowed: false; readonly error: KeywardError }
);

const STATE_CODES: Record<Exclude<KeyState, 'Enabled'>, ProblemCode> = {
  Disabled: 'key-disabled',
  PendingDeletion: 'key-pending-deletion',
  PendingImport: 'key-pending-import',
  Destroyed: 'key-destroyed',
};

/**
 * The callers column: may this role, of this tenant, make this call at all?
 * Answers what to refuse with. People are told 404 for what is not theirs; the truth is in the reason.
 */
export function refusalByRole(row: OperationRow, principal: Principal, call: Call): KeywardError | undefined {
  if (!row.callers.includes(principal.role)) return new Refused('not-allowed', '', { reason: `role-${principal.role}` });
  if (principal.role !== 'service' && principal.tenant !== call.tenant) return new Refused('not-found', '', { reason: 'foreign-tenant' });
  return undefined;
}

/**
 * The tenant's rules: does a grant let this service do this with this key, now? Unknown key, foreign key and missing grant look alike;
 * only a caller whom a grant would allow learns of guardrails' kin: stops and key states.
 */
export async function decideUse(
  operation: DataOperation,
  principal: Principal,
  wish: Wish,
  snapshot: Snapshot,
  now: number,
): Promise<UseDecision> {
  const crypto = {
    context: snapshot.context(wish.context).digests,
    ...(wish.size !== undefined && { plaintextSize: wish.size }),
  };
  const refuse = (code: ProblemCode, reason: string, details: RecordDetails = {}, validUntil?: number): UseDecision => ({
    allowed: false,
    error: new Refused(code, '', { reason }),
    details: { crypto, ...details },
    validUntil,
  });

  const policyVersion = snapshot.rules.policy?.version;
  const denied = { authz: { decision: 'deny' as const, ...(policyVersion !== undefined && { policyVersion }) } };
  if (snapshot.rules.suspendedServices.includes(principal.name)) return refuse('not-granted', 'service-suspended', denied);
  const key = await snapshot.key(wish.lookup);
  if (key === undefined) return refuse('not-granted', snapshot.rules.state === 'Unknown' ? 'unknown-tenant' : 'unknown-key', denied);

  const version = key.versions.get('versionId' in wish.lookup ? wish.lookup.versionId : key.primaryVersion);
  const decision = snapshot.policy.decide({
    subject: subjectOf(principal),
    operation,
    keyId: key.keyId,
    aliases: key.aliases,
    tags: key.tags,
    context: wish.context,
    at: now,
  });
  const details: RecordDetails = { key: keyDetails(key, wish, version?.versionId), authz: authz(decision, policyVersion) };
  const no = refusalByRules(operation, decision, key);
  if (no !== undefined) return refuse(no.code, no.reason, details, decision.validUntil);
  if (version === undefined) return refuse('key-destroyed', 'version-destroyed', details);
  if (wish.assertedKey !== undefined && wish.assertedKey !== key.keyId && !key.aliases.some((name) => name === wish.assertedKey))
    return { allowed: false, error: new DecryptFailed('another-key'), details: { crypto, ...details }, validUntil: decision.validUntil };
  return { allowed: true, key, version, details: { crypto, ...details }, validUntil: decision.validUntil };
}

function refusalByRules(
  operation: DataOperation,
  decision: GrantDecision,
  key: SnapshotKey,
): { code: ProblemCode; reason: string } | undefined {
  if (decision.grant === undefined) return { code: 'not-granted', reason: 'no-grant' };
  if (decision.guardrail !== undefined) return { code: 'not-granted', reason: 'guardrail' };
  if (decision.stop !== undefined) return { code: 'stopped', reason: 'stopped' };
  const states: readonly KeyState[] = OPERATIONS[operation].keyStates;
  if (key.state !== 'Enabled' && !states.includes(key.state)) return { code: STATE_CODES[key.state], reason: STATE_CODES[key.state] };
  return undefined;
}

function authz(decision: GrantDecision, policyVersion: number | undefined): NonNullable<RecordDetails['authz']> {
  const allowed = decision.grant !== undefined && decision.guardrail === undefined && decision.stop === undefined;
  const ruleId = decision.guardrail ?? decision.grant;
  return {
    decision: allowed ? 'allow' : 'deny',
    ...(policyVersion !== undefined && { policyVersion }),
    ...(ruleId !== undefined && { ruleId }),
    ...(decision.stop !== undefined && { stopId: decision.stop }),
  };
}

function keyDetails(key: SnapshotKey, wish: Wish, versionId: KeyVersionId | undefined): NonNullable<RecordDetails['key']> {
  const named = 'reference' in wish.lookup ? wish.lookup.reference : undefined;
  const aliasUsed = key.aliases.find((name) => name === named);
  return { id: key.keyId, ...(versionId && { versionId }), state: key.state, ...(aliasUsed && { aliasUsed }) };
}
