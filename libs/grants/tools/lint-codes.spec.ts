import { readFileSync } from 'node:fs';
import { checkoutPath } from '#runtime';
import { LINT_CODES } from './lint-codes.js';

it('docs/policies.md lists every finding, in the words of the code', () => {
  const lines = readFileSync(checkoutPath('docs', 'policies.md'), 'utf8').split('\n');
  const listed = lines.filter((line) => /^\| G\d{3} \|/.test(line));
  expect(listed).toEqual(Object.entries(LINT_CODES).map(([code, { severity, meaning }]) => `| ${code} | ${severity} | ${meaning} |`));
});
