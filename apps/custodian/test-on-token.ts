import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import type { TestToken } from './test-bed.js';

const PRELUDE = (library: string) => `
  import { readFileSync } from 'node:fs';
  import pkcs11js from 'pkcs11js';
  import { Cryptoki } from '${library}/cryptoki.js';
  import { CryptokiError } from '${library}/cryptoki-error.js';
  import { bindingKey, logPrivateKey, logPublicKey, named, namedRoot, newbornVersion, rootTemplate, versionInUse } from '${library}/key-templates.js';
  import { OpenToken } from '${library}/open-token.js';
  import { sweep } from '${library}/sweeper.js';
  import { nativeTemplate } from '${library}/template.js';
  import { TokenCustody } from '${library}/token-custody.js';
  const library = '${library}';
  const cryptoki = new Cryptoki(process.env.KEYWARD_HSM_MODULE);
  cryptoki.initialise();
  const token = OpenToken.open(cryptoki, process.env.KEYWARD_HSM_TOKEN, readFileSync(process.env.KEYWARD_HSM_PIN_FILE, 'utf8').trim());
  const raw = new pkcs11js.PKCS11();
  raw.load(process.env.KEYWARD_HSM_MODULE);
  const created = (template, value) => raw.C_CreateObject(token.holder, nativeTemplate({ ...template, value }));
  const refusal = (attempt) => { try { attempt(); return 'allowed'; } catch (error) { return error.reason ?? error.message; } };
  const bytes = (text) => Buffer.from(text, 'hex');
  const input = JSON.parse(readFileSync(0, 'utf8'));`;

/**
 * What only who has the PIN can do: `code` is the body of a function over `token`, `cryptoki`, `raw` and `input`, and what it returns comes
 * back. In a process of its own, as the module reads the real environment.
 */
export function onToken(token: Pick<TestToken, 'env'>, code: string, input: unknown = null): unknown {
  const script = `${PRELUDE(join(process.cwd(), 'dist/libs/custody/pkcs11'))}
    process.stdout.write(JSON.stringify(await (async () => { ${code} })()));`;
  const options = { env: token.env, encoding: 'utf8', input: JSON.stringify(input), maxBuffer: 1 << 26 } as const;
  return JSON.parse(execFileSync(process.execPath, ['--input-type=module', '-e', script], options));
}
