import { type LintFinding, MAX_POLICY_BYTES, type PolicyDocument, type PolicyText, policyDocument } from '#contract';
import { bounded, finding, hasError, type Place } from './finding.js';
import { schemaFindings } from './issue-codes.js';
import { readCsv } from './read-csv.js';
import { readJson } from './read-json.js';
import { named, strictFindings } from './strict-findings.js';
import { textFindings } from './text-findings.js';
import { warnings } from './warnings.js';

/** As on the wire: characters of a policy's text. */
const LONGEST_TEXT = 4 * MAX_POLICY_BYTES;

interface Judgement {
  readonly document: PolicyDocument | undefined;
  readonly findings: LintFinding[];
}

/** A policy in either form, judged. `document` is undefined if a finding is an error. Never throws. */
export function read({ format, text }: PolicyText, services: ReadonlySet<string> | undefined): Judgement {
  const unreadable = unreadableText(text);
  if (unreadable !== undefined) return { document: undefined, findings: [unreadable] };
  const { value, place, findings } = format === 'json' ? readJson(text) : readCsv(text);
  if (value === undefined) return { document: undefined, findings: bounded(findings) };
  const { document, findings: judged } = judge(value, services, place);
  const all = bounded([...findings, ...judged]);
  return { document: hasError(all) ? undefined : document, findings: all };
}

export const lint = (document: PolicyDocument, services: ReadonlySet<string> | undefined): LintFinding[] =>
  bounded(judge(document, services).findings);

function unreadableText(text: string): LintFinding | undefined {
  if (text.length > LONGEST_TEXT) return finding('G003', `The text has ${text.length} characters of ${LONGEST_TEXT}.`);
  if (text.startsWith('\uFEFF')) return finding('G004', 'The text starts with a byte order mark.');
  return undefined;
}

/** Each step looks at what passed those before it: further findings would only say the same in other words. */
function judge(value: unknown, services: ReadonlySet<string> | undefined, place?: Place): Judgement {
  const rough = [...textFindings(value, place), ...schemaFindings(value, place)];
  if (rough.length > 0) return { document: undefined, findings: withoutEchoes(rough) };
  const document = policyDocument.parse(value);
  const strict = strictFindings(document, place);
  if (strict.length > 0) return { document: undefined, findings: strict };
  return { document, findings: warnings(document, services, place).map((one) => named(one, document)) };
}

/** The same code at the same place is one finding. */
function withoutEchoes(findings: readonly LintFinding[]): LintFinding[] {
  return [...new Map(findings.map((one) => [`${one.code} ${one.path}`, one])).values()];
}
