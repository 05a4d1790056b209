import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import { checkout } from './source-files.js';

const report = z.object({
  summary: z.object({ violations: z.array(z.object({ from: z.string(), rule: z.object({ name: z.string() }) })) }),
});

const LIBRARIES = [
  'contract',
  'core',
  'trail',
  'custody/pkcs11',
  'custody/socket',
  'grants',
  'http',
  'persistence',
  'runtime',
  'sdk',
  'sdk/typeorm',
  'testing',
];
const PACKAGES = [
  '@aws-crypto/material-management-node',
  'zod',
  'pkcs11js',
  'casbin',
  'typeorm',
  'pg',
  'passport',
  'bullmq',
  'ssh2',
  'jest',
];

/** Each row: a file that breaks a rule, what it imports, and the rule that must say so. */
const PLANTED: readonly (readonly [file: string, imports: string, rule: string])[] = [
  ['libs/contract/a.ts', '#core', 'libs-contract-imports-only-nothing'],
  ['libs/core/a.ts', '#custody/socket', 'libs-core-imports-only-contract'],
  ['libs/core/b.ts', 'typeorm', 'libs-core-uses-only-its-packages'],
  ['libs/trail/a.ts', '#core', 'libs-trail-imports-only-contract'],
  ['libs/custody/socket/a.ts', '#grants', 'libs-custody-imports-only-core-contract'],
  ['libs/grants/a.ts', '#http', 'libs-grants-imports-only-core-contract'],
  ['libs/http/a.ts', '#custody/socket', 'libs-http-imports-only-core-contract'],
  ['libs/persistence/a.ts', '#grants', 'libs-persistence-imports-only-core-contract-trail'],
  ['libs/sdk/a.ts', '#core', 'libs-sdk-imports-only-contract-trail'],
  ['libs/sdk/b.ts', '#sdk/typeorm', 'sdk-works-without-typeorm'],
  ['libs/sdk/typeorm/a.ts', '#trail', 'libs-sdk-typeorm-imports-only-sdk-contract'],
  ['libs/sdk/typeorm/b.ts', 'pg', 'libs-sdk-typeorm-uses-only-its-packages'],
  ['libs/runtime/a.ts', 'typeorm', 'libs-runtime-uses-only-its-packages'],
  ['libs/core/c.ts', '../../apps/worker/main.js', 'libs-core-imports-only-contract'],
  ['apps/data-plane/a.ts', 'pkcs11js', 'only-libs-custody-pkcs11-uses-pkcs11js'],
  ['libs/custody/socket/b.ts', 'pkcs11js', 'only-libs-custody-pkcs11-uses-pkcs11js'],
  ['apps/data-plane/b.ts', '#custody/pkcs11', 'pkcs11-only-in-the-custodian'],
  ['apps/key-plane/a.ts', 'casbin', 'only-libs-grants-uses-casbin'],
  ['apps/key-plane/b.ts', 'pg', 'only-persistence-uses-typeorm'],
  ['apps/key-plane/c.ts', 'passport', 'only-libs-http-uses-passport'],
  ['apps/key-plane/d.ts', 'bullmq', 'only-worker-uses-bullmq'],
  ['libs/sdk/c.ts', '@aws-crypto/material-management-node', 'only-aws-encryption-sdk-uses-aws-crypto'],
  ['apps/data-plane/c.ts', '../key-plane/main.js', 'no-app-imports-another-app'],
  ['examples/shop/a.ts', '#contract', 'examples-use-only-the-sdk'],
  ['apps/auditor/a.ts', '#custody/socket', 'auditor-reaches-neither-custody-nor-grants'],
  ['apps/auditor/b.ts', './through.js', 'auditor-does-not-reach-custody-through-others'],
  ['apps/auditor/through.ts', '#grants', 'auditor-reaches-neither-custody-nor-grants'],
  ['apps/custodian/a.ts', '#persistence', 'custodian-knows-no-database-and-no-http'],
  ['apps/worker/a.ts', '#testing', 'nobody-imports-tests'],
  ['apps/worker/d.ts', 'bullmq', 'only-worker-uses-bullmq'],
  ['apps/worker/e.ts', 'ssh2', 'only-targets-use-ssh2'],
  ['apps/worker/b.ts', './nowhere.js', 'no-unresolvable'],
  ['apps/worker/c.ts', 'jest', 'no-development-packages-in-the-product'],
  ['apps/worker/cycle-one.ts', './cycle-two.js', 'no-cycles'],
];
const ALLOWED: readonly (readonly [file: string, imports: string])[] = [
  ['libs/core/fine.ts', '#contract'],
  ['libs/custody/pkcs11/fine.ts', 'pkcs11js'],
  ['libs/persistence/fine.ts', 'typeorm'],
  ['libs/sdk/typeorm/fine.ts', 'typeorm'],
  ['libs/sdk/typeorm/fine-too.ts', '#sdk'],
  ['examples/shop/fine.ts', '#sdk'],
  ['libs/persistence/fine.spec.ts', '#testing'],
  ['apps/custodian/fine.ts', '#custody/pkcs11'],
  ['apps/worker/jobs/fine.ts', 'bullmq'],
  ['apps/worker/targets/fine.ts', 'ssh2'],
  ['apps/worker/targets/fine-too.ts', 'pg'],
  ['apps/data-plane/fine.ts', '#custody/socket'],
];

describe('the import rules', () => {
  const folder = mkdtempSync(join(tmpdir(), 'keyward-imports-'));
  let found: string[] = [];

  beforeAll(() => {
    plantCheckout(folder);
    found = violations(folder).map(({ from, rule }) => `${rule.name} by ${from}`);
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  it.each(PLANTED)('find %s importing %s', (file, _imports, rule) => {
    expect(found).toContain(`${rule} by ${file}`);
  });

  it.each(ALLOWED)('let %s import %s', (file) => {
    expect(found.filter((violation) => violation.endsWith(` by ${file}`))).toEqual([]);
  });

  it('each have a planted violation here', () => {
    const planted = new Set(PLANTED.map(([, , rule]) => rule));
    expect(ruleNames().filter((name) => !planted.has(name) && !COVERED_BY_FORM.test(name))).toEqual([]);
  });
});

/** Rules made by the same two lines of the configuration for every library: one planted violation of each form is enough. */
const COVERED_BY_FORM = /^libs-\w+-(uses-only-its-packages|imports-only-.*)$|^no-undeclared-packages$/;

function plantCheckout(folder: string): void {
  for (const name of ['package.json', 'tsconfig.json', '.dependency-cruiser.mjs']) copyFileSync(join(checkout, name), join(folder, name));
  for (const name of LIBRARIES) plant(folder, `libs/${name}/index.ts`, 'export const planted = 1;');
  for (const app of ['key-plane', 'worker']) plant(folder, `apps/${app}/main.ts`, 'export const planted = 1;');
  for (const name of PACKAGES) {
    plant(folder, `node_modules/${name}/package.json`, JSON.stringify({ name, version: '1.0.0', main: 'index.js' }));
    plant(folder, `node_modules/${name}/index.js`, 'exports.planted = 1;');
  }
  // The other half of the cycle; a cycle is reported once.
  plant(folder, 'apps/worker/cycle-two.ts', "import { used } from './cycle-one.js';\nexport const planted = used;\n");
  for (const [file, imports] of [...PLANTED, ...ALLOWED])
    plant(folder, file, `import { planted } from '${imports}';\nexport const used = planted;\n`);
}

function plant(folder: string, file: string, text: string): void {
  mkdirSync(dirname(join(folder, file)), { recursive: true });
  writeFileSync(join(folder, file), text);
}

function violations(folder: string) {
  const cruiser = join(checkout, 'node_modules/dependency-cruiser/bin/dependency-cruiser.mjs');
  const args = [cruiser, '--config', '.dependency-cruiser.mjs', '--output-type', 'json', 'apps', 'examples', 'libs'];
  const options = { cwd: folder, encoding: 'utf8', maxBuffer: 64 * 1024 * 1024 } as const;
  try {
    return report.parse(JSON.parse(execFileSync(process.execPath, args, options))).summary.violations;
  } catch (error) {
    // The exit code is the number of violations; the report is on stdout either way.
    const { stdout } = z.object({ stdout: z.string() }).parse(error);
    return report.parse(JSON.parse(stdout)).summary.violations;
  }
}

function ruleNames(): string[] {
  const print = `import('./.dependency-cruiser.mjs').then(({ default: { forbidden } }) => console.log(JSON.stringify(forbidden.map((rule) => rule.name))))`;
  return z.array(z.string()).parse(JSON.parse(execFileSync(process.execPath, ['-e', print], { cwd: checkout, encoding: 'utf8' })));
}
