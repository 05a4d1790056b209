import type { Grant, Guardrail, PolicyDocument } from '#contract';
import { type Part, partsOf } from './condition-sets.js';
import { namedBy } from './subjects.js';

/** A rule with its roles expanded: it means every one of its subjects with every object and operation. */
export interface Scope {
  readonly rule: Grant | Guardrail;
  readonly subjects: ReadonlySet<string>;
  readonly objects: readonly string[];
  readonly operations: readonly string[];
  readonly when: readonly Part[];
  readonly unless: readonly Part[];
}
export const scopesOf = (rules: readonly (Grant | Guardrail)[], { roles }: PolicyDocument): readonly Scope[] =>
  rules.map((rule) => ({
    rule,
    subjects: new Set(namedBy(rule.subjects, roles).map(({ subject }) => subject)),
    objects: [...new Set(rule.objects)],
    operations: [...new Set(rule.operations)],
    when: partsOf(rule.when),
    unless: partsOf(rule.unless),
  }));
