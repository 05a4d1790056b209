import { type LongOperation, type LongOperationId, isOver, type StartRewrapRequest, type TenantId } from '#contract';
import { rewrapRow } from '../bound-rows.js';
import { InvalidRequest, KeywardError } from '../errors.js';
import { newLongOperationId } from '../identifiers.js';
import { mustAllow } from '../key-states.js';
import type { OperationWatch } from '../operation-watch.js';
import type { Handlers } from '../pipeline.js';
import type { CompletionCertifier, RuleBindings } from '../ports/custody.js';
import type { Reads } from '../ports/reads.js';
import type { OperationReads } from '../ports/rewraps.js';
import type { RuleStore } from '../ports/rules.js';
import type { SecretReads } from '../ports/secrets.js';
import type { SnapshotKey } from '../snapshot.js';
import { ownKey } from './own-key.js';

type OperationOperation =
  | 'StartRewrap'
  | 'ListOperations'
  | 'DescribeOperation'
  | 'WatchOperation'
  | 'CancelOperation'
  | 'GetCompletionCertificate';

export interface LongOperationParts {
  readonly rules: Pick<RuleStore, 'credential'>;
  readonly reads: Pick<Reads, 'serviceExists' | 'logKey'>;
  readonly custody: CompletionCertifier & Pick<RuleBindings, 'bindRule'>;
  readonly operations: OperationReads;
  readonly secrets: Pick<SecretReads, 'sealedUnder'>;
  readonly watch: OperationWatch;
}

/** Of one tenant, at a time. */
const MOST_OPEN = 100;

/** Work that goes on after its call was answered, as the tenant's admins see it. */
export function longOperationHandlers({
  rules,
  reads,
  custody,
  operations,
  secrets,
  watch,
}: LongOperationParts): Handlers<OperationOperation> {
  const described = async (tenant: TenantId, id: LongOperationId): Promise<LongOperation> => {
    const operation = await operations.operation(tenant, id);
    if (operation === undefined) throw new KeywardError('not-found', 'There is no such operation.');
    return operation;
  };
  return {
    StartRewrap: async (step) => {
      const { input, call, principal, now } = step;
      const key = await ownKey(step, input.keyId);
      mustAllow(step.operation, key);
      mustBeOlderVersion(key, input);
      const { fromVersionId, service, itemsPerSecond, mode = 'pages' } = input;
      if (service !== undefined && !(await reads.serviceExists(service)))
        throw new InvalidRequest([{ field: 'service', message: 'is not registered with the platform' }]);
      if ((await operations.countOpen(call.tenant)) >= MOST_OPEN)
        throw new KeywardError('state-unchangeable', `At most ${MOST_OPEN} operations at a time.`);
      const toVersionId = key.primaryVersion;
      const population = mode === 'secrets' ? await secrets.sealedUnder(call.tenant, fromVersionId) : undefined;
      const operation: LongOperation = {
        ...{ operationId: newLongOperationId(now), kind: 'ReWrap', mode, state: 'pending' },
        progress: { ...(population !== undefined && { population }), done: 0, kept: 0, failed: 0, perSecond: 0 },
        ...{ failures: [], keyId: key.keyId, fromVersionId, toVersionId, itemsPerSecond, ...(service !== undefined && { service }) },
        ...{ createdBy: principal.name, createdAt: new Date(now).toISOString() },
      };
      const { operationId } = operation;
      // What the worker carries out is its grant: bound, as every rule is.
      const order = { operationId, keyId: key.keyId, fromVersionId, toVersionId, service };
      const mac = mode === 'pages' ? undefined : await custody.bindRule(step.permit(), rewrapRow(call.tenant, order));
      return {
        answer: operation,
        details: {
          key: { id: key.keyId, versionId: fromVersionId, state: key.state },
          change: { operationId, fromVersionId, toVersionId, ...(service && { service }), itemsPerSecond, ...(mac && { mode }) },
        },
        apply: (writes) => writes.insertOperation(operation, mac),
      };
    },

    ListOperations: async ({ input, call }) => ({ answer: await operations.operations(call.tenant, input), details: {} }),

    DescribeOperation: async ({ input, call }) => ({ answer: await described(call.tenant, input.operationId), details: {} }),

    WatchOperation: async ({ input: { operationId }, call: { tenant }, principal, now }) => {
      const { credentialId, expiresAt } = principal;
      const look = async () => {
        const found = await rules.credential(principal.tenant, credentialId);
        if (found === undefined || found.credential.revokedAt !== undefined)
          throw new KeywardError('unauthenticated', '', { reason: 'revoked' });
        return await described(tenant, operationId);
      };
      const first = await described(tenant, operationId);
      return { answer: watch.events({ credentialId, forMs: expiresAt.getTime() - now }, first, look), details: {} };
    },

    GetCompletionCertificate: async ({ input, call: { tenant }, snapshot, permit }) => {
      const { records, ...operation } = await described(tenant, input.operationId);
      const { startedAt, endedAt, progress, operationId } = operation;
      if (records === undefined || startedAt === undefined || endedAt === undefined)
        throw new KeywardError('state-unchangeable', `It is ${operation.state}: there is nothing to certify.`, {
          reason: 'nothing-to-certify',
        });
      const { keyId, fromVersionId, toVersionId, service } = operation;
      const certificate = await custody.completionCertificate(permit(), {
        ...{ origin: snapshot.rules.log.origin, logKey: (await reads.logKey(tenant)).number },
        ...{ tenant, operationId, keyId, fromVersionId, toVersionId, service, startedAt, endedAt },
        ...{
          population: progress.done + progress.failed,
          moved: progress.done - progress.kept,
          kept: progress.kept,
          failed: progress.failed,
        },
        ...{ firstRecord: records.first, lastRecord: records.last },
      });
      return { answer: { operationId, certificate }, details: {} };
    },

    /** What was moved stays moved; the rest stays as it was. */
    CancelOperation: async ({ input: { operationId }, call: { tenant } }) => {
      const before = await described(tenant, operationId);
      if (isOver(before.state)) throw new KeywardError('state-unchangeable', `It is ${before.state}.`, { reason: 'operation-over' });
      return {
        answer: { ...before, state: 'cancelled' },
        details: { change: { operationId, state: { before: before.state, after: 'cancelled' } } },
        apply: (writes) => writes.cancelOperation(operationId),
        completed: () => described(tenant, operationId),
      };
    },
  };
}

/** @throws InvalidRequest */
function mustBeOlderVersion({ versions, primaryVersion }: SnapshotKey, { fromVersionId }: StartRewrapRequest): void {
  const version = versions.get(fromVersionId);
  if (version === undefined) throw new InvalidRequest([{ field: 'fromVersionId', message: 'is no version of this key' }]);
  if (fromVersionId === primaryVersion)
    throw new InvalidRequest([{ field: 'fromVersionId', message: 'is the primary version: make a new one first' }]);
  if (version.usage !== 'ENCRYPT_DECRYPT' || version.publicKey !== undefined)
    throw new InvalidRequest([{ field: 'fromVersionId', message: 'is of a key that re-encryption does not know' }]);
}
