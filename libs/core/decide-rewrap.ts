import type { RewrapAnswer } from '#contract';
import { closestGrant, decideUse } from './decide.js';
import { earliest } from './earliest.js';
import type { Declined, Step } from './handler.js';
import type { CompiledPolicy, GrantRequest } from './ports/grants.js';
import type { SnapshotKey } from './snapshot.js';

export type RewrapDecision = { readonly validUntil: number | undefined } & (
  | { readonly key: SnapshotKey; readonly refused?: undefined }
  | { readonly refused: Declined }
);

/**
 * May this service move anything at all from one version of this key to its primary one, now? As decideUse of both steps, without an
 * item: what depends on one, its context and its justification, is unknown, and only what refuses whatever it is refuses here.
 */
export async function decideRewrap(
  { principal, call, snapshot, now }: Pick<Step<'RewrapPage'>, 'principal' | 'call' | 'snapshot' | 'now'>,
  { keyId, fromVersionId }: Pick<RewrapAnswer, 'keyId' | 'fromVersionId'>,
): Promise<RewrapDecision> {
  const { rules } = snapshot;
  const wish = { lookup: { reference: keyId }, context: undefined, justification: undefined };
  const beforehand = {
    ...{ rules, policy: atBest(snapshot.policy) },
    key: snapshot.key.bind(snapshot),
    context: snapshot.context.bind(snapshot),
  };
  const from = await decideUse('ReEncryptFrom', principal, call, { ...wish, versionId: fromVersionId }, beforehand, now);
  const to = from.allowed ? await decideUse('ReEncryptTo', principal, call, wish, beforehand, now) : from;
  const until = { validUntil: earliest([from.validUntil, to.validUntil]) };
  if (to.allowed) return { ...until, key: to.key };
  const { authz } = to.details;
  return { ...until, refused: { ...until, error: to.error, details: { ...(authz && { authz }) } } };
}

/** The same rules, of what is not known yet: as if it were all favourable. */
function atBest(policy: CompiledPolicy): CompiledPolicy {
  const decide = (asked: GrantRequest) => {
    const request = { ...asked, justification: undefined };
    const decision = policy.decide(request);
    const grant = decision.grant ?? closestGrant(policy.explain(request))?.ruleId;
    if (policy.couldAllow(request)) return { ...decision, grant, guardrail: undefined, stop: undefined };
    const isBlocked = decision.guardrail !== undefined || decision.stop !== undefined;
    return { ...decision, grant: isBlocked ? grant : undefined };
  };
  return { decide, explain: (request) => policy.explain(request), couldAllow: (request) => policy.couldAllow(request) };
}
