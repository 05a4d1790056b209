import { FunctionMap } from 'casbin';
import type { StopId } from '#contract';
import type { GrantDecision, GrantRequest, LimitedGrant } from '#core';
import { possiblyHolds, surelyHolds } from './conditions.js';
import type { Rule } from './rules.js';
import { type KeyNames, objectIn, operationIn } from './selectors.js';

/** The model's `r.ctx`: what conditions look at, and the rules that spoke. */
export interface Hearing {
  readonly request: GrantRequest;
  /** In document order, with and without limits. */
  readonly allowing: Rule[];
  guardrail: string | undefined;
  stop: StopId | undefined;
}

const NOT_LIMITED: readonly LimitedGrant[] = Object.freeze([]);

export const hearingOf = (request: GrantRequest): Hearing => ({ request, allowing: [], guardrail: undefined, stop: undefined });

/** What the rules said that spoke, which must be what Casbin made of them. @throws Error if it is not */
export function ruling({ allowing, guardrail, stop }: Hearing, verdict: unknown): Omit<GrantDecision, 'validUntil'> {
  // `unknown` and `=== true`: a promise or any other truthy answer is no yes.
  if ((verdict === true) !== (allowing.length > 0 && guardrail === undefined && stop === undefined))
    throw new Error('Casbin and the rules that it noted disagree.');
  const free = allowing.find(({ limited }) => limited === undefined);
  const limited = free === undefined && allowing.length > 0 ? allowing.flatMap((rule) => rule.limited ?? []) : NOT_LIMITED;
  const answering = free ?? allowing[0];
  return { grant: answering?.id, ...(answering?.lease && { lease: answering.lease }), limited, guardrail, stop };
}

/** All that the model's matcher can call: synchronous, pure but for `note`, and booleans. */
export function functionsOver(rules: readonly Rule[]): FunctionMap {
  const byConditions = new Map(rules.map((rule) => [rule.conditionsId, rule]));
  const byId = new Map(rules.map((rule) => [rule.id, rule]));
  const functions = new FunctionMap();
  functions.addFunction('actIn', (operation: string, pattern: string) => operationIn(operation, pattern));
  functions.addFunction('objIn', (key: KeyNames, pattern: string) => objectIn(key, pattern));
  functions.addFunction('holds', (id: string, effect: string, { request }: Hearing) => {
    const { conditions } = found(byConditions, id);
    return effect === 'allow' ? surelyHolds(conditions, request) : possiblyHolds(conditions, request);
  });
  functions.addFunction('note', (hearing: Hearing, id: string) => {
    const rule = found(byId, id);
    if (rule.kind === 'grant') hearing.allowing.push(rule);
    else if (rule.kind === 'guardrail') hearing.guardrail ??= rule.id;
    else hearing.stop ??= rule.id as StopId;
    return true;
  });
  return functions;
}

function found(rules: ReadonlyMap<string, Rule>, id: string): Rule {
  const rule = rules.get(id);
  if (rule === undefined) throw new Error(`No rule is called ${id}.`);
  return rule;
}
