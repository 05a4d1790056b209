import type { LintFinding } from '#contract';
import { finding, type Path, type Place, placeAt } from './finding.js';
import { readJson } from './read-json.js';

/** One line `p, …` of a rule. */
export interface RuleLine {
  readonly subject: string;
  /** Names with spaces between. */
  readonly objects: string;
  readonly operations: string;
  readonly line: number;
}

/** All lines with one id; they agree on effect and `cond`. */
export interface RuleLines {
  readonly id: string;
  readonly effect: 'allow' | 'deny';
  readonly cond: string;
  readonly lines: RuleLine[];
}

const LISTS = ['subjects', 'objects', 'operations'] as const;
const CARRIED = ['when', 'unless', 'limits', 'lease', 'description'];
/** As in the schema: a longer list is refused there, and needs no combinations here. */
const MOST = { subjects: 64, objects: 64, operations: 16 };

interface RuleRead {
  readonly value: unknown;
  readonly place: Place;
  readonly findings: readonly LintFinding[];
}

/** The rule that some lines make, as the schema shall judge it. @param path of the rule in the document */
export function ruleFrom({ id, cond, lines }: RuleLines, path: Path): RuleRead {
  const place = placeAt(lines[0]!.line);
  const combinations = lines.map(({ subject, objects, operations }) => ({
    subject,
    objects: listed(objects),
    operations: listed(operations),
  }));
  const names = namesOf(lines, combinations);
  for (const list of LISTS) place.members.set(list, listPlace(names[list], list, lines, combinations, place.line));
  const findings: LintFinding[] = [];
  if (!coversAll(names, combinations))
    findings.push(finding('G044', `The lines of rule ${id} are not all combinations of what they name.`, path, placeAt(place.line)));
  return { value: { ...carriedBy(cond, path, place.line, findings), id, ...names }, place, findings };
}

interface Combination {
  readonly subject: string;
  readonly objects: readonly string[];
  readonly operations: readonly string[];
}
type Names = Record<(typeof LISTS)[number], readonly string[]>;

const listed = (cell: string) => cell.split(/ +/);

/** As this product writes them (a line a subject) names keep their order and repetition; else each counts once. */
function namesOf(lines: readonly RuleLine[], combinations: readonly Combination[]): Names {
  const [first] = lines;
  if (lines.every(({ objects, operations }) => objects === first!.objects && operations === first!.operations)) {
    const { objects, operations } = combinations[0]!;
    return { subjects: lines.map(({ subject }) => subject), objects, operations };
  }
  return {
    subjects: [...new Set(combinations.map(({ subject }) => subject))],
    objects: [...new Set(combinations.flatMap(({ objects }) => objects))],
    operations: [...new Set(combinations.flatMap(({ operations }) => operations))],
  };
}

/** A rule means every subject with every object and operation; lines that say less would be silently widened. */
function coversAll(names: Names, combinations: readonly Combination[]): boolean {
  if (LISTS.some((list) => names[list].length > MOST[list])) return true;
  const index = (list: readonly string[]) => new Map([...new Set(list)].map((name, at) => [name, at]));
  const [subjects, objects, operations] = [index(names.subjects), index(names.objects), index(names.operations)];
  const seen = new Uint8Array(subjects.size * objects.size * operations.size);
  for (const one of combinations)
    for (const object of new Set(one.objects))
      for (const operation of new Set(one.operations))
        seen[(subjects.get(one.subject)! * objects.size + objects.get(object)!) * operations.size + operations.get(operation)!] = 1;
  return !seen.includes(0);
}

/** Each name stands where it is first said. */
function listPlace(
  names: readonly string[],
  list: keyof Names,
  lines: readonly RuleLine[],
  combinations: readonly Combination[],
  line: number,
): Place {
  const first = new Map<string, number>();
  combinations.forEach(({ subject, objects, operations }, at) => {
    for (const name of { subjects: [subject], objects, operations }[list]) if (!first.has(name)) first.set(name, lines[at]!.line);
  });
  const place = placeAt(line);
  names.forEach((name, at) => place.members.set(String(at), placeAt(first.get(name) ?? line)));
  return place;
}

/** `cond`: canonical JSON of when, unless, limits, lease and description; `{}` for none of them. */
function carriedBy(cond: string, path: Path, line: number, findings: LintFinding[]): object {
  const { value, findings: unread } = readJson(cond, line);
  findings.push(...unread.map((one) => ({ ...one, path: [...path, one.path].join('.') })));
  if (unread.length > 0) return {};
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    findings.push(finding('G001', 'cond must be a JSON object, such as {}.', path, placeAt(line)));
    return {};
  }
  for (const name of Object.keys(value))
    if (!CARRIED.includes(name)) findings.push(finding('G006', `cond has no field ${name}.`, [...path, name], placeAt(line)));
  return value;
}
