import type { EncryptionContext, KeyId, KeyVersionId, LongOperationId } from '#contract';
import { type Refusal, refusalByRules } from './decide.js';
import { earliest } from './earliest.js';
import { endOf, stateOf } from './imported.js';
import { refusalByState } from './key-states.js';
import type { CompiledPolicy, GeneratedGrant, GrantPolicy, GrantRequest } from './ports/grants.js';
import type { TenantRules } from './ports/rules.js';
import type { DueRewrap } from './ports/moved-items.js';
import type { Snapshot, SnapshotKey, UsableVersion } from './snapshot.js';

const WORKER = 'worker';
const OF_NO_SERVICE = { suspended: false };

/** By upload, or of secrets. */
export interface WorkersRewrap {
  readonly keyId: KeyId;
  readonly service?: string | undefined;
}

/** The rule that such a project is: the worker may move what the service hands over, or what opens secrets, of this key, and learn nothing of it. */
export const moveGrant = ({
  operationId,
  keyId,
  service,
}: WorkersRewrap & { readonly operationId: LongOperationId }): GeneratedGrant & {
  readonly operation: 'ReWrap';
} => ({
  ...{ id: `rewrap:${operationId}`, subject: WORKER, keyId, operation: 'ReWrap' },
  conditions: service === undefined ? 'what opens secrets' : `what ${service} uploads`,
});

/** What lets nothing of a project that the worker carries out go on, whatever its items are: a stop that covers it, a suspension, the state of the key. */
export function refusalOfMoves(
  rules: Pick<TenantRules, 'stops' | 'suspended' | 'services'>,
  key: Pick<SnapshotKey, 'keyId' | 'state'>,
  { service }: Pick<WorkersRewrap, 'service'>,
): Refusal | undefined {
  const entry = service === undefined ? OF_NO_SERVICE : rules.services.get(service);
  if (entry === undefined || entry.suspended) return { code: 'not-granted', reason: 'service-suspended', why: 'service-suspended' };
  const isCovered = rules.stops.some(
    ({ target }) =>
      target.scope === 'everything' ||
      (target.scope === 'key' && target.keyId === key.keyId) ||
      (target.scope === 'service' && target.service === service),
  );
  if (isCovered) return { code: 'stopped', reason: 'stopped', why: 'stopped' };
  if (rules.suspended) return { code: 'not-granted', reason: 'tenant-suspended', why: 'tenant-suspended' };
  const byState = refusalByState('ReEncryptTo', key.state);
  return byState && { code: byState, reason: byState, why: 'key-state' };
}

export interface MoveDecision {
  readonly refusal: Refusal | undefined;
  /** Milliseconds. */
  readonly validUntil: number | undefined;
}

/**
 * May the worker move what has this context, and is under `under`, to the project's newer version, for this service, now? The project's
 * own rule is the grant; whatever stops or forbids the service both steps of a re-encryption forbids the worker to take them for it.
 */
export function moveDecisions(
  grants: GrantPolicy,
  snapshot: Pick<Snapshot, 'rules' | 'policy'>,
  key: SnapshotKey,
  project: DueRewrap,
  now: number,
): (context: EncryptionContext, under: KeyVersionId | undefined) => MoveDecision {
  const { rules, policy } = snapshot;
  const own = grants.compile({ tenant: rules.tenant, document: undefined, stops: rules.stops, generated: [moveGrant(project)] });
  const versions = [project.fromVersionId, project.toVersionId].map((id) => key.versions.get(id));
  const beforehand = refusalOfMoves(rules, key, project) ?? refusalByWear(key, project);
  return (context, under) => {
    // Items of any other older version are moved along, while that one has its material.
    const used = under === undefined ? versions : [...versions, key.versions.get(under)];
    const byState = beforehand ?? refusalByVersions(key, used, now);
    if (byState !== undefined) return { refusal: byState, validUntil: undefined };
    const request: Omit<GrantRequest, 'subject' | 'operation'> = {
      ...{ keyId: key.keyId, aliases: key.aliases, tags: key.tags, context, at: now },
      ...{ sourceAddress: undefined, authMethod: undefined, justification: undefined },
    };
    const as = (rulesOf: CompiledPolicy, subject: string, operation: GrantRequest['operation']) =>
      rulesOf.decide({ ...request, subject, operation });
    const granted = as(own, WORKER, 'ReWrap');
    const steps = project.service === undefined ? [] : (['ReEncryptFrom', 'ReEncryptTo'] as const);
    const theirs = steps.map((step) => as(policy, `svc:${project.service}`, step));
    const decision = {
      ...granted,
      guardrail: [granted, ...theirs].map(({ guardrail }) => guardrail).find((id) => id !== undefined),
      stop: [granted, ...theirs].map(({ stop }) => stop).find((id) => id !== undefined),
    };
    return {
      refusal: refusalByRules('ReEncryptTo', decision, rules, key),
      validUntil: earliest([
        ...[granted, ...theirs].map(({ validUntil }) => validUntil),
        ...used.map((version) => version && endOf(version)),
      ]),
    };
  };
}

/** Of a version that sealed as much as it safely can: as of any other use, and also when it is the primary one no more. */
const refusalByWear = (key: SnapshotKey, { toVersionId, exhausted }: DueRewrap): Refusal | undefined =>
  exhausted || (key.exhausted === true && key.primaryVersion === toVersionId)
    ? { code: 'key-exhausted', reason: 'key-exhausted', why: 'key-state' }
    : undefined;

function refusalByVersions(key: SnapshotKey, versions: readonly (UsableVersion | undefined)[], now: number): Refusal | undefined {
  for (const version of versions) {
    if (version === undefined) return { code: 'key-destroyed', reason: 'version-destroyed', why: 'key-state' };
    const byState = refusalByState('ReEncryptTo', stateOf(key, version, now));
    if (byState !== undefined) return { code: byState, reason: byState, why: 'key-state' };
  }
  return undefined;
}
