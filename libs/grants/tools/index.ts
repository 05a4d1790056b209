import type { PolicyTools } from '#core';
import { diff } from './diff.js';
import { lint, read } from './lint.js';
import { whoCan } from './who-can.js';
import { sentences } from './words.js';
import { toCsv } from './write-csv.js';

export { LINT_CODES, type LintCode } from './lint-codes.js';

/** What people are told about a policy before and after they publish it. Pure: no clock, no database, and nothing throws. */
export const policyTools: PolicyTools = { read, lint, toCsv, sentences, diff, whoCan };
