import type { GrantedOperation, InventoryItem, WhoCanEntry } from '#contract';
import { KeywardError } from '../errors.js';
import { refusalOfMoves, moveGrant } from '../decide-moves.js';
import { rotationGrant, rotationRefusal } from '../key-rotation.js';
import type { Step } from '../pipeline.js';
import type { GrantPolicy, PolicyTools } from '../ports/grants.js';
import type { KeyNames, Page, Reads } from '../ports/reads.js';
import type { OperationReads } from '../ports/rewraps.js';
import type { TenantRules } from '../ports/rules.js';

export interface WhoCanParts {
  readonly reads: Pick<Reads, 'keyNames'>;
  readonly operations: Pick<OperationReads, 'workersRewraps'>;
  readonly tools: PolicyTools;
  readonly grants: GrantPolicy;
}

/** Who may use which key, by the policy in force and its stops. A page holds so many keys, with everybody who may use them. */
export async function whoCanPage(
  { reads, operations, tools, grants }: WhoCanParts,
  { input, call, snapshot, now }: Pick<Step<'WhoCan'>, 'input' | 'call' | 'snapshot' | 'now'>,
): Promise<Page<WhoCanEntry>> {
  const { keyId: reference, operation, ...page } = input;
  const { policy, stops, services, suspended } = snapshot.rules;
  const rules = { tenant: call.tenant, document: policy?.document, stops };

  const keys = async (): Promise<Page<KeyNames>> => {
    if (reference === undefined) return await reads.keyNames(call.tenant, page);
    const key = await snapshot.key({ reference });
    if (key === undefined) throw new KeywardError('not-found', 'There is no such key.');
    return { items: [key] };
  };
  const asked = (subject: string, granted: readonly GrantedOperation[]) =>
    suspended ? [] : mayAsk(services, subject, granted).filter((name) => operation === undefined || name === operation);

  const { items, nextCursor } = await keys();
  const rewraps = async () =>
    operation === undefined || operation === 'ReWrap'
      ? await operations.workersRewraps(
          call.tenant,
          items.map((key) => key.keyId),
        )
      : [];
  const moves = Map.groupBy(await rewraps(), ({ keyId }) => keyId);
  const entries = items
    .filter(({ state }) => state === 'Enabled')
    .flatMap((key): WhoCanEntry[] => {
      const { keyId, tags } = key;
      const aliases = [...key.aliases];
      const granted = tools.whoCan(rules, { keyId, aliases, tags }).flatMap(({ role, operations, except, ...who }) => {
        const remaining = asked(who.subject, operations);
        if (remaining.length === 0) return [];
        return [{ keyId, aliases, ...who, ...(role !== undefined && { role }), operations: remaining, except: [...except] }];
      });
      const rotation = operation === undefined || operation === 'RotateKey' ? rotationGrant(key) : undefined;
      const isRotating = rotation !== undefined && rotationRefusal(grants, snapshot.rules, key, now) === undefined;
      const moving = (moves.get(keyId) ?? []).filter((rewrap) => refusalOfMoves(snapshot.rules, key, rewrap) === undefined);
      const worker = [...(isRotating ? [rotation] : []), ...moving.map(moveGrant)];
      const byWorker = worker.map(({ id: grant, subject, operation: work, conditions }) => ({
        ...{ keyId, aliases, subject, operations: [work], grant, conditions, except: [] },
      }));
      return [...granted, ...byWorker];
    });
  return { items: entries, ...(nextCursor !== undefined && { nextCursor }) };
}

/** Who may use one key, by the policy in force, its stops, the catalogue and the ISV's suspensions. */
export function usersOf(
  tools: Pick<PolicyTools, 'whoCan'>,
  { rules }: Pick<Step<'WhoCan'>['snapshot'], 'rules'>,
  { keyId, aliases, tags }: Omit<KeyNames, 'state'>,
): InventoryItem['usableBy'] {
  const { policy, stops, services, suspended, tenant } = rules;
  if (suspended) return [];
  return tools
    .whoCan({ tenant, document: policy?.document, stops }, { keyId, aliases, tags })
    .flatMap(({ role, operations, except, ...who }) => {
      const remaining = mayAsk(services, who.subject, operations);
      return remaining.length === 0 ? [] : [{ ...who, ...(role !== undefined && { role }), operations: remaining, except: [...except] }];
    });
}

/** What the ISV lets a caller ask for, of what a tenant grants it; workloads are in no catalogue. */
export function mayAsk(services: TenantRules['services'], subject: string, granted: readonly GrantedOperation[]): GrantedOperation[] {
  const entry = subject.startsWith('svc:') ? services.get(subject.slice('svc:'.length)) : undefined;
  return entry === undefined || entry.suspended ? [] : granted.filter((operation) => entry.operations.includes(operation));
}
