import { writeFileSync } from 'node:fs';
import { describePlane } from '#http';
import { checkoutPath } from '#runtime';
import { controllers, title } from './controllers.js';

/** Writes the committed OpenAPI document; a test compares the two. */
writeFileSync(checkoutPath('docs', 'openapi', 'auditor.json'), await describePlane(title, controllers));
