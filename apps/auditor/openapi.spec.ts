import { readFileSync } from 'node:fs';
import { describePlane } from '#http';
import { checkoutPath } from '#runtime';
import { controllers, title } from './controllers.js';

it('is committed as it is served; after a change run: node dist/apps/auditor/openapi.js', async () => {
  expect(await describePlane(title, controllers)).toBe(readFileSync(checkoutPath('docs', 'openapi', 'auditor.json'), 'utf8'));
});
