import type { KeyState, OperationName, ProblemCode } from '#contract';
import { KeywardError } from './errors.js';
import { OPERATIONS } from './operation-table.js';

const STATE_CODES: Record<Exclude<KeyState, 'Enabled'>, ProblemCode> = {
  Disabled: 'key-disabled',
  PendingDeletion: 'key-pending-deletion',
  PendingImport: 'key-pending-import',
  Destroyed: 'key-destroyed',
};

/** What is told when the state itself cannot be changed so, rather than which state it is. */
const CHANGES_OF_STATE: ReadonlySet<OperationName> = new Set<OperationName>([
  ...(['EnableKey', 'DisableKey', 'ScheduleKeyDeletion', 'CancelKeyDeletion', 'CreateAlias', 'ImportKeyMaterial'] as const),
]);

/** The state × operation table: what refuses this operation on a key in this state; undefined where it may run. */
export function refusalByState(operation: OperationName, state: KeyState): ProblemCode | undefined {
  const allowed: readonly KeyState[] = OPERATIONS[operation].keyStates;
  if (allowed.length === 0 || allowed.includes(state)) return undefined;
  if (state === 'Enabled' || (state !== 'Destroyed' && CHANGES_OF_STATE.has(operation))) return 'state-unchangeable';
  return STATE_CODES[state];
}

/** @throws KeywardError by the table; people may be told the state. */
export function mustAllow(operation: OperationName, { state }: { readonly state: KeyState }): void {
  const code = refusalByState(operation, state);
  if (code !== undefined) throw new KeywardError(code, `The key is ${state}.`, { reason: `${code}: ${state}` });
}
