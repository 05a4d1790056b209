import type { GrantedOperation, Justification } from '#contract';
import type { Call } from './call.js';
import { authz, explained, refusalByCatalogue, refusalByRules, type Refusal } from './decide.js';
import { type KeywardError, Refused } from './errors.js';
import type { GrantRequest, LimitedGrant } from './ports/grants.js';
import { type Principal, subjectOf } from './principal.js';
import type { RecordDetails } from './record.js';
import type { Snapshot } from './snapshot.js';

export interface KeylessDecision {
  readonly details: RecordDetails;
  readonly validUntil: number | undefined;
  /** Undefined: it is allowed. */
  readonly error: KeywardError | undefined;
  readonly charges: readonly LimitedGrant[];
}

/**
 * As decideUse, for what uses no key: a grant, guardrail or stop means it if it means every key (`*`). It has no encryption context
 * either: it meets no condition on one, and every stop of one.
 */
export function decideKeyless(
  operation: GrantedOperation,
  principal: Principal,
  call: Pick<Call, 'sourceAddress'>,
  justification: Justification | undefined,
  { rules, policy }: Snapshot,
  now: number,
): KeylessDecision {
  const policyVersion = rules.policy?.version;
  const refused = ({ code, reason, why }: Refusal) => new Refused(code, '', { reason, why });
  const byCatalogue = refusalByCatalogue(rules, principal.name, operation);
  if (byCatalogue !== undefined) {
    const denied = { decision: 'deny' as const, ...(policyVersion !== undefined && { policyVersion }) };
    return { details: { authz: denied }, validUntil: undefined, error: refused(byCatalogue), charges: [] };
  }
  const request: GrantRequest = {
    ...{ subject: subjectOf(principal), operation },
    ...{ keyId: undefined, aliases: [], tags: {}, context: undefined },
    ...{ at: now, sourceAddress: call.sourceAddress, authMethod: principal.authMethod, justification: justification ?? null },
  };
  const decision = policy.decide(request);
  const no = refusalByRules(operation, decision, rules, { state: 'Enabled' });
  const told = no?.reason === 'no-grant' ? explained(policy, request) : undefined;
  return {
    details: { authz: { ...authz(decision, no === undefined, policyVersion), ...told?.authz } },
    validUntil: decision.validUntil,
    error: no && refused({ ...no, why: no.why ?? told?.why }),
    charges: decision.limited,
  };
}
