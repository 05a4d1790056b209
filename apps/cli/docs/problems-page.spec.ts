import { readFileSync } from 'node:fs';
import { problemCode, refusalReason } from '#contract';
import { checkoutPath } from '#runtime';
import { problemsPage } from './problems-page.js';

describe('docs/problems.md', () => {
  const page = readFileSync(checkoutPath('docs', 'problems.md'), 'utf8');

  it('is what the tables of the code say; after a change run: node dist/apps/cli/docs/problems.js', () => {
    expect(page).toBe(problemsPage());
  });

  it('has a row for every code and every reason', () => {
    for (const word of [...problemCode.options, ...refusalReason.options]) expect(page).toContain(`\n| \`${word}\` |`);
  });
});
