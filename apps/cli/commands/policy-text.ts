import type { Command } from 'commander';
import type { LintFinding, PolicyDocument, PolicyText } from '#contract';
import { UsageError } from '../exit-codes.js';
import type { Session } from '../session.js';
import { bytesFrom, printable } from '../terminal.js';

export interface TextOptions {
  readonly format?: PolicyText['format'];
}

/** `--format` of every command that reads a policy. */
export const inEitherForm = (command: Command): Command =>
  command.option('--format <form>', 'json or csv (default: by the name of the file)', formIn);

function formIn(text: string): PolicyText['format'] {
  if (text === 'json' || text === 'csv') return text;
  throw new UsageError('--format is json or csv.');
}

/** A policy from a file, or - for stdin. */
export async function policyTextIn(session: Session, file: string, { format }: TextOptions): Promise<PolicyText> {
  const text = (await bytesFrom(session.terminal, file)).toString('utf8');
  return { format: format ?? (file.endsWith('.csv') ? 'csv' : 'json'), text };
}

/** The linter of the server, here: nothing is sent. Which services there are it does not know. Casbin is loaded only where it is needed. */
export async function checkedHere(text: PolicyText): Promise<{ document: PolicyDocument | undefined; findings: LintFinding[] }> {
  const { policyTools } = await import('#grants');
  return policyTools.read(text, undefined);
}

export async function explained(document: PolicyDocument): Promise<string[]> {
  const { policyTools } = await import('#grants');
  return policyTools.sentences(document);
}

export async function asCsv(document: PolicyDocument): Promise<string> {
  const { policyTools } = await import('#grants');
  return policyTools.toCsv(document);
}

/** `file:line: G012 error grants.0.operations.1: …`, as compilers say it. */
export const findingLines = (file: string, findings: readonly LintFinding[]): string =>
  findings
    .map(({ code, severity, message, path, line }) => {
      const place = [file, line].filter((part) => part !== undefined).join(':');
      return printable(`${place}: ${code} ${severity} ${path === '' ? '' : `${path}: `}${message}`);
    })
    .join('\n');

/** @throws UsageError with every finding, if one is an error */
export function mustBeValid(file: string, document: PolicyDocument | undefined, findings: readonly LintFinding[]): PolicyDocument {
  if (document === undefined) throw new UsageError(`This is not a policy:\n${findingLines(file, findings)}`);
  return document;
}
