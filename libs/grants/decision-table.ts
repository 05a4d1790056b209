import { readFileSync } from 'node:fs';
import { alias, authMethod, DATA_OPERATIONS, justification, keyId, limits, policyDocument, stopId, stopTarget, tenantId } from '#contract';
import type { GrantDecision, GrantRequest, TenantPolicy } from '#core';
import { z } from 'zod';

// From tests only: policies/decisions.csv with the policies and keys that it names (policies/decisions.json).
export interface DecisionRow {
  readonly line: number;
  readonly why: string;
  readonly policy: TenantPolicy;
  readonly request: GrantRequest;
  readonly allowed: boolean;
  readonly want: GrantDecision;
}

const named = z.strictObject({
  keys: z.record(z.string(), z.strictObject({ keyId, aliases: z.array(alias), tags: z.record(z.string(), z.string()) })),
  documents: z.record(
    z.string(),
    z.strictObject({
      as: z.string().optional(),
      document: policyDocument.optional(),
      stops: z.array(z.strictObject({ stopId, target: stopTarget })),
    }),
  ),
});

/** `-` in the table: the operation uses none. */
const NO_KEY = { keyId: undefined, aliases: [], tags: {} };

const COLUMNS = [
  ...['policy', 'subject', 'operation', 'key', 'context', 'at', 'source', 'auth', 'reason'],
  ...['allowed', 'grant', 'limited', 'guardrail', 'stop', 'validUntil', 'why'],
];

/** policies/decisions.csv. No quoting; `-` is absent or unknown; lists take spaces. */
export function readDecisionTable(folder: string): readonly DecisionRow[] {
  const { keys, documents } = named.parse(JSON.parse(readFileSync(`${folder}/decisions.json`, 'utf8')));
  const [header, ...lines] = readFileSync(`${folder}/decisions.csv`, 'utf8').trimEnd().split('\n');
  if (header !== COLUMNS.join(',')) throw new Error(`The columns are not ${COLUMNS.join(',')}.`);
  return lines.map((text, index) => {
    const line = index + 2;
    const cells = text.split(',');
    if (cells.length !== COLUMNS.length) throw new Error(`Line ${line} has ${cells.length} columns.`);
    const row = Object.fromEntries(cells.map((cell, column) => [COLUMNS[column]!, cell.trim()]));
    const cell = (name: string) => row[name]!;
    const present = (name: string) => (row[name] === '-' ? undefined : row[name]);
    const entry = documents[cell('policy')];
    const target = cell('key') === '-' ? NO_KEY : keys[cell('key')];
    if (entry === undefined || target === undefined) throw new Error(`Line ${line} names an unknown policy or key.`);
    const { document } = entry.as === undefined ? entry : documents[entry.as]!;
    const limitsOf = (ruleId: string) => ({ ruleId, limits: limits.parse(document?.grants.find(({ id }) => id === ruleId)?.limits) });
    return {
      line,
      why: cell('why'),
      policy: { tenant: tenantId.parse('acme'), document, stops: entry.stops },
      request: {
        subject: cell('subject'),
        operation: z.enum(DATA_OPERATIONS).parse(cell('operation')),
        ...target,
        context: contextIn(cell('context')),
        at: Date.parse(cell('at')),
        sourceAddress: present('source'),
        authMethod: authMethod.optional().parse(present('auth')),
        justification: reasonIn(cell('reason')),
      },
      allowed: z.enum(['yes', 'no']).parse(cell('allowed')) === 'yes',
      want: {
        grant: present('grant'),
        limited: present('limited')?.split(' ').map(limitsOf) ?? [],
        guardrail: present('guardrail'),
        stop: stopId.optional().parse(present('stop')),
        validUntil: row['validUntil'] === '-' ? undefined : Date.parse(cell('validUntil')),
      },
    };
  });
}

/** `-` no context at all, `{}` an empty one, else `name=value&name=value`. */
function contextIn(cell: string): Readonly<Record<string, string>> | undefined {
  if (cell === '-') return undefined;
  return cell === '{}' ? {} : z.record(z.string(), z.string()).parse(Object.fromEntries(cell.split('&').map((pair) => pair.split('='))));
}

/** `-` unknown, `none` the caller gave none, else `CODE` or `CODE/ticket`. */
function reasonIn(cell: string): GrantRequest['justification'] {
  if (cell === '-') return undefined;
  const [code, ticket] = cell.split('/');
  return cell === 'none' ? null : justification.parse({ code, ticket });
}
