import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { provision } from '#persistence';
import { loadProvisioningConfig } from '#runtime';
import { MIGRATIONS } from '../../../migrations/index.js';

/**
 * Creates the database's roles, the database and its schema where they are missing, and migrates. May run at every start.
 * KEYWARD_SUPERUSER_URL: a superuser's URL. KEYWARD_ROLE_PASSWORDS_FILE: JSON, password by role.
 */
const passwords = z.record(z.string(), z.string().min(16));

const { superuserUrl, passwordsFile } = loadProvisioningConfig();
await provision({ superuserUrl, passwords: passwords.parse(JSON.parse(readFileSync(passwordsFile, 'utf8'))), migrations: MIGRATIONS });
