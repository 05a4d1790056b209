import { CsvError, parse } from 'csv-parse/sync';
import { z } from 'zod';
import type { LintFinding } from '#contract';
import { finding, type Place, placeAt, tooMany } from './finding.js';
import type { LintCode } from './lint-codes.js';
import { type RuleLine, type RuleLines, ruleFrom } from './rule-lines.js';
import { parenthesesBalanced } from './write-csv.js';

export interface CsvReading {
  /** What the schema shall judge. */
  readonly value: unknown;
  readonly place: Place;
  readonly findings: LintFinding[];
}

/** What all lines together say so far. */
interface Sheet {
  domain: string | undefined;
  readonly rules: Map<string, RuleLines>;
  readonly roles: Map<string, { readonly line: number; readonly members: string[]; readonly lines: number[] }>;
  readonly findings: LintFinding[];
}

type Complain = (code: LintCode, message: string) => void;
type LineKind = {
  readonly columns: number;
  readonly take: (sheet: Sheet, cells: readonly string[], line: number, complain: Complain) => void;
};

const KINDS: ReadonlyMap<string, LineKind> = new Map([
  ['p', { columns: 8, take: takeRule }],
  ['g', { columns: 4, take: takeMember }],
]);

/** Lines of policies/model.conf, read one by one as Casbin's own adapters do. Never throws. */
export function readCsv(text: string): CsvReading {
  const sheet: Sheet = { domain: undefined, rules: new Map(), roles: new Map(), findings: [] };
  for (const [index, raw] of text.split('\n').entries()) {
    if (tooMany(sheet.findings)) break;
    const line = raw.trim();
    if (line !== '' && !line.startsWith('#')) takeLine(sheet, line, index + 1);
  }
  return { ...documentOf(sheet), findings: sheet.findings };
}

function takeLine(sheet: Sheet, text: string, line: number): void {
  const complain: Complain = (code, message) => void sheet.findings.push(finding(code, message, [], placeAt(line)));
  const cells = cellsOf(text, complain);
  if (cells === undefined) return;
  const [name = '', ...columns] = cells;
  const kind = KINDS.get(name);
  if (kind === undefined) return complain('G041', `A line starts with p or g, not with ${name}.`);
  if (cells.length !== kind.columns) return complain('G040', `A line ${name} has ${kind.columns} columns, this one ${cells.length}.`);
  if (columns.includes('')) return complain('G042', 'A column is empty; Casbin would read a missing effect as allow.');
  const domain = columns.at(kind.columns === 8 ? 2 : -1);
  sheet.domain ??= domain;
  if (domain !== sheet.domain) return complain('G045', `The domain is ${domain}, that of earlier lines ${sheet.domain}.`);
  kind.take(sheet, columns, line, complain);
}

function cellsOf(text: string, complain: Complain): readonly string[] | undefined {
  const rows = rowsOf(text);
  if (rows === undefined || rows.length !== 1 || text.includes('\r'))
    return void complain('G001', 'The line is not CSV: double quotes stand around a whole column, and twice inside it.');
  const [cells = []] = rows;
  if (!cells.every(parenthesesBalanced))
    return void complain('G001', 'Casbin would join columns here: write ( as \\u0028 and ) as \\u0029.');
  return cells;
}

const sheetCells = z.array(z.array(z.string()));

function rowsOf(text: string): string[][] | undefined {
  try {
    return sheetCells.parse(parse(text, { delimiter: ',', record_delimiter: '\n', trim: true, relax_column_count: true }));
  } catch (error) {
    if (error instanceof CsvError) return undefined;
    throw error;
  }
}

function takeRule(sheet: Sheet, columns: readonly string[], line: number, complain: Complain): void {
  const [id, subject, , objects, operations, cond, effect] = columns as [string, string, string, string, string, string, string];
  if (effect !== 'allow' && effect !== 'deny') return complain('G017', `The effect is allow or deny, exactly so, not ${effect}.`);
  const one: RuleLine = { subject, objects, operations, line };
  const rule = sheet.rules.get(id);
  if (rule === undefined) return void sheet.rules.set(id, { id, effect, cond, lines: [one] });
  if (rule.effect !== effect || rule.cond !== cond)
    return complain('G043', `Line ${rule.lines[0]!.line} gives rule ${id} another effect or other conditions.`);
  rule.lines.push(one);
}

function takeMember(sheet: Sheet, [member = '', role = '']: readonly string[], line: number, complain: Complain): void {
  if (!role.startsWith('role:')) return complain('G018', `A role is written role:name, not ${role}.`);
  if (member.startsWith('role:') && member !== role)
    return complain('G021', `${member} cannot be a member of ${role}: roles hold services.`);
  const name = role.slice('role:'.length);
  const known = sheet.roles.get(name) ?? { line, members: [], lines: [] };
  sheet.roles.set(name, known);
  if (member === role) return;
  known.members.push(member);
  known.lines.push(line);
}

function documentOf(sheet: Sheet): { value: unknown; place: Place } {
  const place = placeAt(1);
  const listed = (effect: RuleLines['effect'], name: string) => {
    const list = placeAt(1);
    place.members.set(name, list);
    return [...sheet.rules.values()]
      .filter((rule) => rule.effect === effect)
      .map((rule, index) => {
        const read = ruleFrom(rule, [name, index]);
        list.members.set(String(index), read.place);
        sheet.findings.push(...read.findings);
        return read.value;
      });
  };
  const grants = listed('allow', 'grants');
  const guardrails = listed('deny', 'guardrails');
  const roles = placeAt(1);
  place.members.set('roles', roles);
  for (const [name, { line, lines }] of sheet.roles) {
    const role = placeAt(line);
    lines.forEach((one, index) => role.members.set(String(index), placeAt(one)));
    roles.members.set(name, role);
  }
  const members = [...sheet.roles].map(([name, role]) => [name, role.members] as const);
  return { value: { schema: 'keyward.policy/1', roles: Object.fromEntries(members), grants, guardrails }, place };
}
