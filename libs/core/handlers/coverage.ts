import type { CoverageAnswer, PolicyDocument } from '#contract';
import type { Step } from '../pipeline.js';
import type { AuditReads } from '../ports/reads.js';

/**
 * Which keys were used for which values of one label. Records hold salted digests of labels, so only values that are named can be told
 * from the rest: those of the question, or those that the policy in force names.
 */
export async function coverage(
  reads: Pick<AuditReads, 'coverage'>,
  { input, principal, snapshot }: Pick<Step<'GetCoverage'>, 'input' | 'principal' | 'snapshot'>,
): Promise<CoverageAnswer> {
  const { name } = input;
  const values = input.values ?? valuesIn(snapshot.rules.policy?.document, name);
  const byDigest = new Map(values.map((value) => [snapshot.digest(name, value), value]));
  const { coveredSize, items } = await reads.coverage(principal, [...byDigest.keys()]);
  return {
    ...{ coveredSize, name, values },
    items: items.map(({ digest, ...item }) => ({ ...item, value: digest === undefined ? null : byDigest.get(digest)! })),
  };
}

/** The values of this label in the conditions of grants and guardrails, sorted. */
function valuesIn(document: PolicyDocument | undefined, name: string): string[] {
  const rules = document === undefined ? [] : [...document.grants, ...document.guardrails];
  const conditions = rules.flatMap(({ when, unless }) => [when, unless]);
  const named = conditions.flatMap((condition) =>
    [condition?.encryptionContextEquals?.[name], condition?.encryptionContextSubset?.[name]].flatMap((value) => value ?? []),
  );
  return [...new Set(named)].sort();
}
