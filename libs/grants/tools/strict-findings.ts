import { type Conditions, type Grant, type Guardrail, MAX_POLICY_BYTES, type LintFinding, type PolicyDocument } from '#contract';
import { canonicalJson } from '#core';
import { impliesAll, partsOf, within } from './condition-sets.js';
import { finding, type Path, type Place } from './finding.js';
import { networkOf } from './networks.js';

const RESERVED = /^(keyward:|aws-crypto-)/;

interface Site {
  readonly rule: Grant | Guardrail;
  readonly path: Path;
}

/** Errors that take more than a look at one value. `document` fits the schema. */
export function strictFindings(document: PolicyDocument, place?: Place): LintFinding[] {
  const sites = sitesOf(document);
  const found = [...sites.flatMap((site) => ruleFindings(site, place)), ...caseFindings(sites, place)];
  const bytes = new TextEncoder().encode(canonicalJson(document)).length;
  if (bytes > MAX_POLICY_BYTES) found.push(finding('G003', `The document has ${bytes} bytes of ${MAX_POLICY_BYTES}.`, [], place));
  return found.map((one) => named(one, document));
}

export const sitesOf = ({ grants, guardrails }: PolicyDocument): readonly Site[] => [
  ...grants.map((rule, index) => ({ rule, path: ['grants', index] })),
  ...guardrails.map((rule, index) => ({ rule, path: ['guardrails', index] })),
];

/** With the id of the rule that the finding is in. */
export function named(found: LintFinding, { grants, guardrails }: PolicyDocument): LintFinding {
  const [list, index] = found.path.split('.');
  const rule = list === 'grants' ? grants[Number(index)] : list === 'guardrails' ? guardrails[Number(index)] : undefined;
  return rule === undefined ? found : { ...found, ruleId: rule.id };
}

function ruleFindings({ rule, path }: Site, place?: Place): LintFinding[] {
  const found = (['when', 'unless'] as const).flatMap((clause) => {
    const conditions = rule[clause];
    return conditions === undefined ? [] : conditionFindings(conditions, [...path, clause], place);
  });
  const [when, unless] = [partsOf(rule.when), partsOf(rule.unless)];
  if (unless.length > 0 && impliesAll(when, unless))
    found.push(finding('G037', 'Whenever when is met, unless is met too.', [...path, 'unless'], place));
  return found;
}

function conditionFindings(conditions: Conditions, path: Path, place?: Place): LintFinding[] {
  const { encryptionContextEquals: equals, encryptionContextSubset: subset, notBefore, notAfter, sourceCidr = [] } = conditions;
  const found: LintFinding[] = [];
  if (partsOf(conditions).length === 0) found.push(finding('G036', 'There is no condition in it.', path, place));
  for (const name of ['encryptionContextEquals', 'encryptionContextSubset'] as const)
    for (const label of Object.keys(conditions[name] ?? {}))
      if (RESERVED.test(label)) found.push(finding('G031', `No caller may send a label called ${label}.`, [...path, name, label], place));
  if (notBefore !== undefined && notAfter !== undefined && Date.parse(notBefore) >= Date.parse(notAfter))
    found.push(finding('G027', 'notBefore is not before notAfter.', [...path, 'notAfter'], place));
  if (
    equals !== undefined &&
    subset !== undefined &&
    !within({ name: 'encryptionContextEquals', asks: equals }, { name: 'encryptionContextSubset', asks: subset })
  )
    found.push(finding('G037', 'No labels meet both conditions.', [...path, 'encryptionContextSubset'], place));
  sourceCidr.forEach((text, index) => {
    if (networkOf(text) === undefined) found.push(finding('G030', `${text} is not a network.`, [...path, 'sourceCidr', index], place));
  });
  return found;
}

/** Over the whole document: a rule for `Tenant` beside one for `tenant` is a mistake that nobody sees. */
function caseFindings(sites: readonly Site[], place?: Place): LintFinding[] {
  const spelled = new Map<string, string>();
  return sites.flatMap(({ rule, path }) =>
    (['when', 'unless'] as const).flatMap((clause) =>
      (['encryptionContextEquals', 'encryptionContextSubset'] as const).flatMap((name) =>
        Object.keys(rule[clause]?.[name] ?? {}).flatMap((label) => {
          const known = spelled.get(label.toLowerCase());
          spelled.set(label.toLowerCase(), known ?? label);
          if (known === undefined || known === label) return [];
          return [finding('G020', `${label} is elsewhere written ${known}.`, [...path, clause, name, label], place)];
        }),
      ),
    ),
  );
}
