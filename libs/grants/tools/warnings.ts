import type { Grant, Guardrail, LintFinding, PolicyDocument } from '#contract';
import { partsOf } from './condition-sets.js';
import { blockedCompletely, superfluous } from './coverage.js';
import { finding, type Path, type Place } from './finding.js';
import { networkOf } from './networks.js';
import { sitesOf } from './strict-findings.js';

type Report = (code: Parameters<typeof finding>[0], message: string, path: Path) => LintFinding;

/** What an author should know before publishing. `document` has no errors. */
export function warnings(document: PolicyDocument, services: ReadonlySet<string> | undefined, place?: Place): LintFinding[] {
  const report: Report = (code, message, path) => finding(code, message, path, place);
  return [
    ...(document.grants.length === 0 ? [report('G060', 'Without a grant, nobody may do anything.', ['grants'])] : []),
    ...document.grants.flatMap((grant, index) => grantWarnings(grant, ['grants', index], document, report)),
    ...document.guardrails.flatMap((guardrail, index) => guardrailWarnings(guardrail, ['guardrails', index], report)),
    ...sitesOf(document).flatMap(({ rule, path }) => [...listWarnings(rule, path, report), ...networkWarnings(rule, path, report)]),
    ...shadowed('grants', document, report),
    ...shadowed('guardrails', document, report),
    ...roleWarnings(document, report),
    ...(services === undefined ? [] : unknownServices(document, services, report)),
  ];
}

function grantWarnings(grant: Grant, path: Path, document: PolicyDocument, report: Report): LintFinding[] {
  const found: LintFinding[] = [];
  const asked = [...partsOf(grant.when), ...partsOf(grant.unless)].map(({ name }) => name);
  grant.objects.forEach((object, index) => {
    if (object.startsWith('tag:'))
      found.push(report('G016', `Whoever may tag keys decides what ${object} reaches.`, [...path, 'objects', index]));
  });
  if (grant.objects.includes('*') && grant.operations.includes('@all'))
    found.push(report('G051', 'This allows every operation with every key.', path));
  if (asked.length === 0) found.push(report('G052', 'No condition narrows this grant.', path));
  if (asked.length > 0 && asked.every((name) => name === 'justification'))
    found.push(report('G057', 'Anybody can claim a justification; the trail keeps it, but nothing proves it.', path));
  if (blockedCompletely(grant, document)) found.push(report('G053', 'A guardrail without conditions blocks all that this allows.', path));
  return found;
}

const ASKS_THE_CONNECTION = new Set(['sourceCidr', 'authMethod']);

function guardrailWarnings(guardrail: Guardrail, path: Path, report: Report): LintFinding[] {
  const parts = partsOf(guardrail.when).filter(({ name }) => ASKS_THE_CONNECTION.has(name));
  return parts.map(({ name }) => report('G058', `This also blocks callers whose ${name} is not known.`, [...path, 'when', name]));
}

const repeated = (names: readonly string[], path: Path, report: Report): LintFinding[] =>
  names.flatMap((name, index) => (names.indexOf(name) < index ? [report('G059', `${name} stands here twice.`, [...path, index])] : []));

const listWarnings = (rule: Grant | Guardrail, path: Path, report: Report): LintFinding[] =>
  (['subjects', 'objects', 'operations'] as const).flatMap((list) => repeated(rule[list], [...path, list], report));

function networkWarnings(rule: Grant | Guardrail, path: Path, report: Report): LintFinding[] {
  return (['when', 'unless'] as const).flatMap((clause) =>
    (rule[clause]?.sourceCidr ?? []).flatMap((text, index) =>
      networkOf(text)?.inside === true
        ? [report('G061', `${text} is read as its whole network.`, [...path, clause, 'sourceCidr', index])]
        : [],
    ),
  );
}

const shadowed = (list: 'grants' | 'guardrails', document: PolicyDocument, report: Report): LintFinding[] =>
  superfluous(document[list], document, list === 'grants' ? 'allow' : 'deny').map(({ index, rule, other }) =>
    report('G054', `${other.id} does all that ${rule.id} does.`, [list, index]),
  );

function roleWarnings(document: PolicyDocument, report: Report): LintFinding[] {
  const used = new Set(sitesOf(document).flatMap(({ rule }) => rule.subjects));
  return Object.entries(document.roles).flatMap(([name, members]) => [
    ...(used.has(`role:${name}`) ? [] : [report('G055', `No rule names role:${name}.`, ['roles', name])]),
    ...(members.length === 0 ? [report('G056', `role:${name} has no members.`, ['roles', name])] : []),
    ...repeated(members, ['roles', name], report),
  ]);
}

function unknownServices(document: PolicyDocument, services: ReadonlySet<string>, report: Report): LintFinding[] {
  const lists: readonly (readonly [Path, readonly string[]])[] = [
    ...sitesOf(document).map(({ rule, path }) => [[...path, 'subjects'], rule.subjects] as const),
    ...Object.entries(document.roles).map(([name, members]) => [['roles', name], members] as const),
  ];
  return lists.flatMap(([path, subjects]) =>
    subjects.flatMap((subject, index) =>
      subject.startsWith('svc:') && !services.has(subject.slice('svc:'.length))
        ? [report('G050', `The catalogue has no service ${subject.slice('svc:'.length)}.`, [...path, index])]
        : [],
    ),
  );
}
