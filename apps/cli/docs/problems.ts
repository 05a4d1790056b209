import { writeFileSync } from 'node:fs';
import { checkoutPath } from '#runtime';
import { problemsPage } from './problems-page.js';

/** Writes the page of problem codes; a test compares the two. */
writeFileSync(checkoutPath('docs', 'problems.md'), problemsPage());
