import { type SourceFile, sourceFiles } from './source-files.js';

interface Rule {
  readonly name: string;
  readonly pattern: RegExp;
  /** Files where the pattern is right. */
  readonly allowed?: RegExp;
  /** Code that the rule must find: a rule that finds nothing proves nothing. */
  readonly control: string;
  /** Where a comment matters: as the offence itself, or as the reason that excuses it. */
  readonly withComments?: boolean;
}

const TESTS = String.raw`\.(spec|int-spec|story)\.ts$|^libs/testing/|^libs/.+/test/|/test-[^/]+\.ts$|^test/`;

const RULES: readonly Rule[] = [
  { name: 'forwardRef', pattern: /\bforwardRef\b/, allowed: /^test\/architecture\//, control: '@Inject(forwardRef(() => X))' },
  { name: 'global modules', pattern: /@Global\(/, allowed: /^test\/architecture\//, control: '@Global()\n@Module({})' },
  {
    name: 'settings read outside the two readers',
    pattern:
      /\bprocess\s*(\.\s*env\b|\[\s*['"]env['"]\s*\])|\{[^}\n]*\benv\b[^}\n]*\}\s*=\s*process\b|import\s*\{[^}]*\benv\b[^}]*\}\s*from\s*'node:process'/,
    allowed: new RegExp(String.raw`^libs/runtime/config\.ts$|^apps/custodian/config\.ts$|^examples/[a-z-]+/settings\.ts$|${TESTS}`),
    control: 'const { env } = process;',
  },
  {
    name: 'permits minted outside the pipeline',
    pattern: /\bnew\s+Permit\b|\bextends\s+Permit\b|\bPermit\s+as\s|\bReflect\.construct\b/,
    allowed: new RegExp(String.raw`^libs/core/pipeline(-[a-z-]+)?\.ts$|${TESTS}`),
    control: "const permit = new Permit({ operation: 'Decrypt', tenant });",
  },
  { name: 'the type any', pattern: /(:\s*any\b(?!\s+\w)|\bas\s+any\b|<any>)/, control: 'const body = input as any;' },
  { name: 'suppressed type errors', withComments: true, pattern: /@ts-(ignore|nocheck)/, control: '// @ts-ignore' },
  { name: 'swallowed errors', withComments: true, pattern: /catch\s*(\([^)]*\))?\s*\{\s*\}/, control: 'try { decide(); } catch {}' },
  {
    name: 'PKCS#11 names outside their library',
    pattern: /\bCK[AMOR]_[A-Z]/,
    allowed: new RegExp(String.raw`^libs/custody/pkcs11/|^apps/custodian/|^libs/runtime/embedded/softhsm\.ts$|${TESTS}`),
    control: 'template.set(CKA_SENSITIVE, true)',
  },
  {
    name: 'foreign functions outside the one file that calls OpenSSL',
    pattern: /\bnode:ffi\b/,
    allowed: new RegExp(String.raw`^libs/custody/pkcs11/openssl-sm2\.ts$|${TESTS}`),
    control: "const ffi = process.getBuiltinModule('node:ffi');",
  },
  {
    name: 'sessions with a tenant that outlives its transaction',
    pattern: /set_config\([^)]*,\s*false\s*\)/i,
    control: `select set_config('app.tenant_id', $1, false)`,
  },
];

/** Comments may name what the code must not do. */
const withoutComments = (text: string) => text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/(^|\s)\/\/.*$/gm, '');

function offenders(rule: Rule, files: readonly SourceFile[]): string[] {
  const suspects = files.filter((file) => !file.path.startsWith('test/architecture/') && rule.allowed?.test(file.path) !== true);
  return suspects
    .filter((file) => rule.pattern.test(rule.withComments === true ? file.text : withoutComments(file.text)))
    .map((file) => file.path);
}

describe.each(RULES)('no $name', (rule) => {
  it('in the code', () => {
    expect(offenders(rule, sourceFiles())).toEqual([]);
  });

  it('would be found', () => {
    expect(offenders(rule, [{ path: 'libs/core/planted.ts', text: rule.control }])).toEqual(['libs/core/planted.ts']);
  });
});

it('reads the sources it judges', () => {
  expect(sourceFiles().map((file) => file.path)).toEqual(expect.arrayContaining(['libs/core/pipeline.ts', 'libs/runtime/config.ts']));
});
