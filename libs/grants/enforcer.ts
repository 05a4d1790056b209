import {
  DefaultEffector,
  type Effect,
  type Effector,
  type EffectorStream,
  Enforcer,
  type FunctionMap,
  newModelFromString,
  type RoleManager,
} from 'casbin';

/** The columns of the model's `p`: id, sub, dom, obj, act, cond, eft. */
export type Row = readonly [id: string, sub: string, dom: string, obj: string, act: string, cond: string, eft: 'allow' | 'deny'];

/**
 * Casbin over a few rows that never change. No adapter, no watcher, none of Casbin's built-in functions (its regexes and globs can hang):
 * the model can call only what is handed in, all of it synchronous; a promise in a matcher would be truthy.
 * @throws Error for a row with an empty column: Casbin would read a missing `eft` as allow
 */
export function enforcerOver(rows: readonly Row[], modelText: string, functions: FunctionMap, roles: RoleManager): Enforcer {
  const model = newModelFromString(modelText);
  const roleDefinition = model.model.get('g')?.get('g');
  if (roleDefinition === undefined) throw new Error('The model defines no roles.');
  roleDefinition.rm = roles;
  rows.forEach(assertComplete);
  const [complete] = model.addPolicies(
    'p',
    'p',
    rows.map((row) => [...row]),
  );
  if (!complete) throw new Error('The model did not take the rows.');
  return new RowEnforcer(model, functions);
}

function assertComplete(columns: readonly string[]): void {
  if (columns.length !== 7 || columns.includes('')) throw new Error(`The row of rule ${columns[0]} has an empty column.`);
}

class RowEnforcer extends Enforcer {
  constructor(model: ReturnType<typeof newModelFromString>, functions: FunctionMap) {
    super();
    this.fm = functions;
    this.setModel(model);
    this.setEffector(new ExhaustiveEffector());
  }
}

/**
 * Casbin's own verdict, over all rows: Casbin stops at the first deny, but the record shall name the stop even where a guardrail spoke too.
 * What follows that deny is matched and noted, and has no say in the verdict.
 */
class ExhaustiveEffector implements Effector {
  newStream(expression: string): EffectorStream {
    const stream = new DefaultEffector().newStream(expression);
    let settled = false;
    return {
      current: () => stream.current(),
      pushEffect: (effect: Effect): [boolean, boolean, boolean] => {
        if (!settled) settled = stream.pushEffect(effect)[2];
        return [stream.current(), false, false];
      },
    };
  }
}
