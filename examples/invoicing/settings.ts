import { readFileSync } from 'node:fs';
import { z } from 'zod';

const variables = z.object({
  INVOICING_DATABASE_URL: z.string().regex(/^postgres(ql)?:\/\//, 'must be a postgres:// URL'),
  /** As `keyward credential issue --out` writes it: a credential stands in no environment. */
  KEYWARD_CREDENTIALS_FILE: z.string().min(1),
  PORT: z.coerce.number().int().min(0).max(65535).default(7780),
});
const credentials = z.object({ apiKey: z.string().min(1), dataPlane: z.url().default('http://127.0.0.1:7720') });

export interface Settings {
  readonly databaseUrl: string;
  readonly keywardUrl: string;
  readonly apiKey: string;
  readonly port: number;
}

/** @throws ZodError that names the variable, or the field of the credentials file */
export function readSettings(environment: Readonly<Record<string, string | undefined>>): Settings {
  const { INVOICING_DATABASE_URL: databaseUrl, KEYWARD_CREDENTIALS_FILE: file, PORT: port } = variables.parse(environment);
  const { apiKey, dataPlane: keywardUrl } = credentials.parse(JSON.parse(readFileSync(file, 'utf8')));
  return { databaseUrl, keywardUrl, apiKey, port };
}

export const settingsOfProcess = (): Settings => readSettings(process.env);
