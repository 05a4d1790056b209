import { CURRENT, type GrantedOperation, type PolicyDocument, type SimulateAnswer } from '#contract';
import { closestGrant, type Refusal, refusalByCatalogue, refusalByRules } from '../decide.js';
import { paidOnce, refusalOfPut, SEALING_USES } from '../decide-secret.js';
import { asFailure, KeywardError } from '../errors.js';
import { newSecretVersionId } from '../identifiers.js';
import type { Step } from '../pipeline.js';
import type { CompiledPolicy, GrantDecision, GrantPolicy, GrantRequest, PolicyTools } from '../ports/grants.js';
import type { StoredSecret } from '../ports/secrets.js';
import { secretContext } from '../secret-sealing.js';
import type { SnapshotKey } from '../snapshot.js';
import { findSecret, mustBeKept, type SecretSource } from './own-secret.js';

interface SimulateParts extends SecretSource {
  readonly grants: GrantPolicy;
  readonly tools: PolicyTools;
}
type Asked = Pick<Step<'SimulatePolicy'>, 'input' | 'call' | 'snapshot' | 'now'>;

/** One decision of the one or two that a call needs. */
interface Judged {
  /** In words: what it was about. */
  readonly about: string;
  readonly decision: GrantDecision;
  readonly verdicts: SimulateAnswer['rules'];
  readonly refusal: Refusal | undefined;
}

/** One imagined request against a policy, with the stops, the key's state and the ISV's catalogue as they are. No limit is counted. */
export async function simulate(parts: SimulateParts, asked: Asked, document: PolicyDocument | undefined): Promise<SimulateAnswer> {
  const { rules } = asked.snapshot;
  const compiled = parts.grants.compile({ tenant: asked.call.tenant, document, stops: rules.stops });
  const judged = await decisions(parts, asked, compiled);
  const refused = judged.find(({ refusal }) => refusal !== undefined);
  const inForce = document === rules.policy?.document ? rules.policy?.version : undefined;
  const [{ decision }, ofKey] = judged;
  const guardrail = judged.map((one) => one.decision.guardrail).find((id) => id !== undefined);
  const stopId = judged.map((one) => one.decision.stop).find((id) => id !== undefined);
  const verdicts = judged.flatMap((one) => one.verdicts);
  return {
    allowed: refused === undefined,
    ...(refused?.refusal && { code: refused.refusal.code }),
    ...(inForce !== undefined && { policyVersion: inForce }),
    ...(decision.grant !== undefined && { grant: decision.grant }),
    ...(ofKey?.decision.grant !== undefined && { keyGrant: ofKey.decision.grant }),
    ...(guardrail !== undefined && { guardrail }),
    ...(stopId !== undefined && { stopId }),
    rules: verdicts,
    sentences: [outcome(refused), ...spoken(document, verdicts, parts.tools)],
  };
}

/** In the order in which they are made; what refuses ends it. */
async function decisions(parts: SimulateParts, asked: Asked, compiled: CompiledPolicy): Promise<readonly [Judged, ...Judged[]]> {
  const { operation, keyId, secretId, encryptionContext = {} } = asked.input;
  if (keyId !== undefined) {
    const key = await keyOf(asked, keyId);
    return [judge(asked, compiled, operation, { ...key, context: encryptionContext }, 'this caller with this operation and key')];
  }
  const none = { keyId: undefined, aliases: [], tags: {}, context: undefined, state: 'Enabled' } as const;
  if (secretId === undefined) return [judge(asked, compiled, operation, none, 'this caller with this operation')];
  const found = await findSecret(parts, asked, secretId, { label: CURRENT });
  if (found === undefined) throw new KeywardError('not-found', 'There is no such secret.');
  const { secret, version } = found;
  const isPut = operation === 'PutSecretValue';
  const versionId = isPut ? newSecretVersionId(asked.now) : (version?.versionId ?? '');
  const context = operation === 'DescribeSecret' ? {} : secretContext({ secretId: secret.secretId, versionId });
  const ofSecret = judge(
    asked,
    compiled,
    operation,
    { ...none, secret: secret.name, context },
    'this caller with this operation and secret',
  );
  const use = operation === 'GetSecretValue' || isPut ? SEALING_USES[operation] : undefined;
  if (use === undefined || ofSecret.refusal !== undefined) return [ofSecret];
  const unable = unableFor(secret, isPut || version !== undefined);
  if (unable !== undefined) return [{ ...ofSecret, refusal: unable }];
  const key = await keyOf(asked, secret.keyId);
  const ofKey = judge(asked, compiled, use, { ...key, context }, `this caller with ${use} and the key of the secret`);
  return [ofSecret, { ...ofKey, refusal: ofKey.refusal ?? refusalOfBoth(secret, isPut, ofSecret, ofKey) }];
}

async function keyOf({ snapshot }: Asked, reference: string): Promise<Pick<SnapshotKey, 'keyId' | 'aliases' | 'tags' | 'state'>> {
  const key = await snapshot.key({ reference });
  if (key === undefined) throw new KeywardError('not-found', 'There is no such key.');
  const { keyId, aliases, tags, state } = key;
  return { keyId, aliases, tags, state };
}

/** It is to be purged, or has no value yet. */
function unableFor(secret: StoredSecret, hasValue: boolean): Refusal | undefined {
  try {
    mustBeKept(secret);
    return hasValue ? undefined : { code: 'not-found', reason: 'unknown-version' };
  } catch (error) {
    const { code } = asFailure(error);
    return { code, reason: code };
  }
}

function refusalOfBoth(secret: StoredSecret, isPut: boolean, ofSecret: Judged, ofKey: Judged): Refusal | undefined {
  const charges = paidOnce(ofSecret.decision.limited, ofKey.decision.limited);
  if (charges === undefined) return { code: 'not-granted', reason: 'limits-of-two-grants' };
  const reason = isPut ? refusalOfPut(secret, true, charges) : undefined;
  return reason === undefined ? undefined : { code: 'not-granted', reason };
}

function judge(
  { input, snapshot: { rules }, now }: Asked,
  compiled: CompiledPolicy,
  operation: GrantedOperation,
  { state, ...names }: Pick<GrantRequest, 'keyId' | 'secret' | 'aliases' | 'tags' | 'context'> & Pick<SnapshotKey, 'state'>,
  about: string,
): Judged {
  const { subject } = input;
  const request: GrantRequest = {
    ...{ subject, operation, ...names },
    at: input.at === undefined ? now : Date.parse(input.at),
    ...{ sourceAddress: input.sourceAddress, authMethod: input.authMethod, justification: input.justification ?? null },
  };
  const decision = compiled.decide(request);
  const service = subject.startsWith('svc:') ? subject.slice(4) : undefined;
  const byCatalogue = service === undefined ? undefined : refusalByCatalogue(rules, service, operation);
  const refusal = byCatalogue ?? refusalByRules(operation, decision, rules, { state });
  return { about, decision, verdicts: [...compiled.explain(request)], refusal };
}

function outcome(refused: Judged | undefined): string {
  if (refused?.refusal === undefined) return 'Allowed.';
  const { refusal, verdicts, about } = refused;
  if (refusal.reason !== 'no-grant') return `Refused: ${refusal.reason}.`;
  const closest = closestGrant(verdicts);
  return closest === undefined
    ? `Refused: no grant names ${about}.`
    : `Refused: ${closest.ruleId} comes closest, but ${closest.unmet.join(', ')} is not as it asks.`;
}

/** The rules that concern the request, in words. */
function spoken(document: PolicyDocument | undefined, verdicts: SimulateAnswer['rules'], tools: PolicyTools): string[] {
  if (document === undefined) return [];
  const concerned = new Set(verdicts.map(({ ruleId }) => ruleId));
  const only = <Rule extends { id: string }>(rules: readonly Rule[]) => rules.filter(({ id }) => concerned.has(id));
  return tools.sentences({ ...document, grants: only(document.grants), guardrails: only(document.guardrails) });
}
