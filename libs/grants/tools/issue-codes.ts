import { GRANTED_OPERATIONS, type LintFinding, policyDocument } from '#contract';
import { finding, type Path, type Place } from './finding.js';
import type { LintCode } from './lint-codes.js';

type Issue = NonNullable<ReturnType<typeof policyDocument.safeParse>['error']>['issues'][number];
/** An issue of the schema, its value, and its place with `#` for every index and `!` for every name that the author chose. */
interface Judged {
  readonly issue: Issue;
  readonly value: unknown;
  readonly shape: string;
}
type Row = readonly [code: LintCode, applies: (judged: Judged) => boolean];

const at =
  (pattern: RegExp) =>
  ({ shape }: Judged) =>
    pattern.test(shape);
const kind =
  (...codes: readonly Issue['code'][]) =>
  ({ issue }: Judged) =>
    codes.includes(issue.code);
const says =
  (pattern: RegExp) =>
  ({ issue }: Judged) =>
    pattern.test(issue.message);
const valueIs =
  (wanted: unknown) =>
  ({ value }: Judged) =>
    value === wanted;
const both =
  (...tests: readonly Row[1][]) =>
  (judged: Judged) =>
    tests.every((test) => test(judged));
const ofRule = (rest: string) => at(new RegExp(`^(grants|guardrails)\\.#\\.${rest}$`));
const ofCondition = (rest: string) => ofRule(`(when|unless)\\.${rest}`);
const ofLabel = ofCondition('encryptionContext(Equals|Subset)\\.!');

/** The first row that applies; the last one takes what the schema may learn to refuse. */
const ROWS: readonly Row[] = [
  ['G005', says(/^__proto__ is refused$/)],
  ['G003', says(/^must be at most \d+ bytes$/)],
  ['G024', says(/rules in all$/)],
  ['G009', at(/^schema$/)],
  ['G008', both(kind('invalid_type', 'invalid_union', 'invalid_value'), valueIs(undefined))],
  ['G011', says(/is used twice$/)],
  ['G019', says(/is not among the roles$/)],
  ['G010', ofRule('id')],
  ['G013', both(at(/^grants\.#\.subjects\.#$/), valueIs('*'))],
  ['G012', ofRule('subjects\\.#')],
  ['G014', ofRule('objects\\.#')],
  ['G015', ofRule('operations\\.#')],
  ['G018', both(kind('invalid_key'), at(/^roles\.!$/))],
  ['G021', both(at(/^roles\.!\.#$/), ({ value }) => typeof value === 'string' && value.startsWith('role:'))],
  ['G012', at(/^roles\.!\.#$/)],
  ['G031', both(kind('invalid_key'), ofLabel)],
  ['G025', both(ofCondition('encryptionContext(Equals|Subset)'), kind('custom'))],
  ['G038', says(/^must name each only once$/)],
  ['G022', both(kind('too_small'), ({ value }) => Array.isArray(value))],
  ['G023', both(kind('too_big'), ({ value }) => Array.isArray(value) || typeof value === 'string')],
  ['G026', ofCondition('not(Before|After)')],
  ['G028', ofCondition('weekly\\.tz')],
  ['G029', ofCondition('weekly(\\..+)?')],
  ['G030', ofCondition('sourceCidr\\.#')],
  ['G033', ofCondition('authMethod\\.#')],
  ['G033', ofCondition('justification\\.anyOf\\.#')],
  ['G034', at(/^grants\.#\.limits/)],
  ['G070', at(/^grants\.#\.lease/)],
  ['G007', () => true],
];

/** Every way in which `value` is not a policy document, each with its code. */
export function schemaFindings(value: unknown, place?: Place): LintFinding[] {
  const issues = policyDocument.safeParse(value).error?.issues ?? [];
  return issues.flatMap((issue) =>
    issue.code === 'unrecognized_keys' ? unknownFields(issue, place) : [issueFinding(issue, value, place)],
  );
}

function unknownFields({ keys, path }: Issue & { code: 'unrecognized_keys' }, place?: Place): LintFinding[] {
  const guardrail = path.length === 2 && path[0] === 'guardrails';
  return keys.map((key) => {
    const [code, message] = (guardrail ? ONLY_GRANTS_HAVE.get(key) : undefined) ?? (['G006', `There is no field ${key} here.`] as const);
    return finding(code, message, [...path, key], place);
  });
}

const ONLY_GRANTS_HAVE: ReadonlyMap<string, readonly [LintCode, string]> = new Map([
  ['limits', ['G035', 'Only grants have limits.']],
  ['lease', ['G071', 'Only grants have a lease.']],
]);

function issueFinding(issue: Issue, root: unknown, place?: Place): LintFinding {
  const value = valueAt(root, issue.path);
  const judged = { issue, value, shape: shapeOf(issue.path) };
  const [code] = ROWS.find(([, applies]) => applies(judged))!;
  const message = code === 'G022' ? 'The list is empty.' : `${said(value)}${hint(code, value) ?? issue.message}`;
  return finding(code, message, issue.path, place);
}

const said = (value: unknown) => (typeof value === 'string' && value.length <= 140 ? `${JSON.stringify(value)}: ` : '');

function hint(code: LintCode, value: unknown): string | undefined {
  if (code !== 'G015' || typeof value !== 'string') return undefined;
  const meant = [...GRANTED_OPERATIONS, '@read', '@write', '@all'].find((name) => name.toLowerCase() === value.toLowerCase());
  return meant === undefined ? undefined : `is ${meant} meant? Upper and lower case matter`;
}

function valueAt(root: unknown, path: Path): unknown {
  let value = root;
  for (const segment of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, segment)) return undefined;
    value = (value as Record<PropertyKey, unknown>)[segment];
  }
  return value;
}

/** Names after these are the author's, whatever they look like. */
const CHOSEN = /^(roles|encryptionContextEquals|encryptionContextSubset)$/;

const shapeOf = (path: Path) =>
  path
    .map((segment, index) => (typeof segment === 'number' ? '#' : CHOSEN.test(String(path[index - 1])) ? '!' : String(segment)))
    .join('.');
