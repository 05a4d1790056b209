import type { PolicyDocument, SimulateAnswer } from '#contract';
import { closestGrant, refusalByCatalogue, refusalByRules } from '../decide.js';
import { KeywardError } from '../errors.js';
import type { Step } from '../pipeline.js';
import type { GrantPolicy, GrantRequest, PolicyTools } from '../ports/grants.js';

/** One imagined request against a policy, with the stops, the key's state and the ISV's catalogue as they are. No limit is counted. */
export async function simulate(
  { grants, tools }: { readonly grants: GrantPolicy; readonly tools: PolicyTools },
  { input, call, snapshot, now }: Pick<Step<'SimulatePolicy'>, 'input' | 'call' | 'snapshot' | 'now'>,
  document: PolicyDocument | undefined,
): Promise<SimulateAnswer> {
  const { rules } = snapshot;
  const { operation, subject } = input;
  const key = await snapshot.key({ reference: input.keyId });
  if (key === undefined) throw new KeywardError('not-found', 'There is no such key.');
  const compiled = grants.compile({ tenant: call.tenant, document, stops: rules.stops });
  const request: GrantRequest = {
    ...{ subject, operation, keyId: key.keyId, aliases: key.aliases, tags: key.tags },
    context: input.encryptionContext ?? {},
    at: input.at === undefined ? now : Date.parse(input.at),
    ...{ sourceAddress: input.sourceAddress, authMethod: input.authMethod, justification: input.justification ?? null },
  };
  const decision = compiled.decide(request);
  const verdicts = [...compiled.explain(request)];
  const service = subject.startsWith('svc:') ? subject.slice(4) : undefined;
  const refusal =
    (service === undefined ? undefined : refusalByCatalogue(rules, service, operation)) ?? refusalByRules(operation, decision, rules, key);
  const inForce = document === rules.policy?.document ? rules.policy?.version : undefined;
  const { grant, guardrail, stop: stopId } = decision;
  return {
    allowed: refusal === undefined,
    ...(refusal && { code: refusal.code }),
    ...(inForce !== undefined && { policyVersion: inForce }),
    ...(grant !== undefined && { grant }),
    ...(guardrail !== undefined && { guardrail }),
    ...(stopId !== undefined && { stopId }),
    rules: verdicts,
    sentences: [outcome(refusal?.reason, closestGrant(verdicts)), ...spoken(document, verdicts, tools)],
  };
}

function outcome(reason: string | undefined, closest: ReturnType<typeof closestGrant>): string {
  if (reason === undefined) return 'Allowed.';
  if (reason !== 'no-grant') return `Refused: ${reason}.`;
  return closest === undefined
    ? 'Refused: no grant names this caller with this operation and key.'
    : `Refused: ${closest.ruleId} comes closest, but ${closest.unmet.join(', ')} is not as it asks.`;
}

/** The rules that concern the request, in words. */
function spoken(document: PolicyDocument | undefined, verdicts: SimulateAnswer['rules'], tools: PolicyTools): string[] {
  if (document === undefined) return [];
  const concerned = new Set(verdicts.map(({ ruleId }) => ruleId));
  const only = <Rule extends { id: string }>(rules: readonly Rule[]) => rules.filter(({ id }) => concerned.has(id));
  return tools.sentences({ ...document, grants: only(document.grants), guardrails: only(document.guardrails) });
}
