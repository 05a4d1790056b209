import { readFileSync } from 'node:fs';
import { alias, DATA_OPERATIONS, keyId, policyDocument, stopId, stopTarget, tenantId } from '#contract';
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

/** Columns: policy, subject, operation, key, context, at, allowed, grant, guardrail, stop, validUntil, why. No quoting; `-` is absent. */
export function readDecisionTable(folder: string): readonly DecisionRow[] {
  const { keys, documents } = named.parse(JSON.parse(readFileSync(`${folder}/decisions.json`, 'utf8')));
  const lines = readFileSync(`${folder}/decisions.csv`, 'utf8').trimEnd().split('\n').slice(1);
  return lines.map((text, index) => {
    const cells = text.split(',');
    if (cells.length !== 12) throw new Error(`Line ${index + 2} has ${cells.length} columns.`);
    const [policy, subject, operation, key, context, at, allowed, grant, guardrail, stop, validUntil, why] = cells.map((cell) =>
      cell.trim(),
    );
    const entry = documents[policy!];
    const target = keys[key!];
    if (entry === undefined || target === undefined) throw new Error(`Line ${index + 2} names an unknown policy or key.`);
    const { document } = entry.as === undefined ? entry : documents[entry.as]!;
    return {
      line: index + 2,
      why: why!,
      policy: { tenant: tenantId.parse('acme'), document, stops: entry.stops },
      request: {
        subject: subject!,
        operation: z.enum(DATA_OPERATIONS).parse(operation),
        ...target,
        context: contextIn(context!),
        at: Date.parse(at!),
      },
      allowed: z.enum(['yes', 'no']).parse(allowed) === 'yes',
      want: {
        grant: present(grant!),
        guardrail: present(guardrail!),
        stop: stop === '-' ? undefined : stopId.parse(stop),
        validUntil: validUntil === '-' ? undefined : Date.parse(validUntil!),
      },
    };
  });
}

const present = (cell: string) => (cell === '-' ? undefined : cell);

/** `-` no context at all, `{}` an empty one, else `name=value&name=value`. */
function contextIn(cell: string): Readonly<Record<string, string>> | undefined {
  if (cell === '-') return undefined;
  return cell === '{}' ? {} : z.record(z.string(), z.string()).parse(Object.fromEntries(cell.split('&').map((pair) => pair.split('='))));
}
