/**
 * Who may import what (docs/architecture.md). Every library has one row: the libraries and packages it may reach.
 * `node:` modules are everybody's, except where a row says otherwise.
 */
const LIBRARIES = {
  contract: { libraries: [], packages: ['zod'] },
  core: { libraries: ['contract'], packages: ['zod'] },
  trail: { libraries: ['contract'], packages: ['zod'] },
  custody: { libraries: ['core', 'contract'], packages: ['zod', 'pkcs11js', 'msgpackr'] },
  grants: { libraries: ['core', 'contract'], packages: ['zod', 'casbin', 'csv-parse', 'csv-stringify'] },
  http: {
    libraries: ['core', 'contract'],
    packages: ['zod', 'fastify', 'passport', 'passport-custom', 'jose', 'rate-limiter-flexible', 'reflect-metadata', 'rxjs', '@nestjs/'],
  },
  persistence: { libraries: ['core', 'contract', 'trail'], packages: ['zod', 'typeorm', 'pg', 'reflect-metadata'] },
  runtime: { libraries: ['core', 'contract'], packages: ['zod', 'pino'] },
  sdk: { libraries: ['contract', 'trail'], packages: ['zod', '@aws-crypto/'], without: 'typeorm/' },
  'sdk/typeorm': { libraries: ['sdk', 'contract'], packages: ['typeorm'] },
};

const TESTS = '(\\.(spec|int-spec|story)\\.ts$|^libs/testing/|^libs/.+/test/|/test-[^/]+\\.ts$|^test/)';
const oneOf = (names) => `(${names.map((name) => name.replaceAll('/', '\\/').replaceAll('.', '\\.')).join('|')})`;
/** A package is matched by its folder; a name that ends in `/` stands for a whole scope. */
const packageFolder = (name) => `node_modules/${name.endsWith('/') ? name : `(@types/)?${name}/`}`;

/** `without`: a folder of it that has a row of its own, because it is an entry of its own. */
const inLibrary = (name, without) => ({ path: `^libs/${name}/`, pathNot: [TESTS, ...(without ? [`^libs/${name}/${without}`] : [])] });

/** Between libraries: everything that is not in the row is forbidden. */
const libraryRules = Object.entries(LIBRARIES).map(([name, { libraries, without }]) => ({
  name: `libs-${name.replace('/', '-')}-imports-only-${libraries.join('-') || 'nothing'}`,
  severity: 'error',
  from: inLibrary(name, without),
  to: { path: '^(libs|apps|migrations|test)/', pathNot: `^libs/${oneOf([name, ...libraries])}/` },
}));

/** From libraries to packages: likewise. */
const packageRules = Object.entries(LIBRARIES).map(([name, { packages, without }]) => ({
  name: `libs-${name.replace('/', '-')}-uses-only-its-packages`,
  severity: 'error',
  from: inLibrary(name, without),
  to: { path: 'node_modules/', pathNot: packages.map(packageFolder) },
}));

/** A package that only one place may know. */
const onlyFrom = (packages, place, why) => ({
  name: `only-${place.replaceAll('/', '-')}-uses-${packages[0]}`,
  comment: why,
  severity: 'error',
  from: { pathNot: [`^${place}/`, TESTS] },
  to: { path: packages.map(packageFolder) },
});

/** All of custody, and of grants all that decides or writes. */
const NOT_THE_AUDITORS = '^libs/(custody/|grants/(?!tools/|selectors\\.ts))';

export default {
  forbidden: [
    { name: 'no-cycles', severity: 'error', from: {}, to: { circular: true } },
    // node:ffi is a module of Node that has no name without its prefix, which this tool cuts off; TypeScript resolves it.
    { name: 'no-unresolvable', severity: 'error', from: {}, to: { couldNotResolve: true, pathNot: '^ffi$' } },
    {
      name: 'no-undeclared-packages',
      severity: 'error',
      from: { path: '^(apps|examples|libs|migrations)/', pathNot: TESTS },
      to: { dependencyTypes: ['npm-no-pkg', 'npm-unknown'] },
    },
    {
      name: 'no-development-packages-in-the-product',
      severity: 'error',
      from: { path: '^(apps|examples|libs|migrations)/', pathNot: TESTS },
      to: { dependencyTypes: ['npm-dev'], dependencyTypesNot: ['type-only'], pathNot: 'node_modules/@types/' },
    },
    ...libraryRules,
    ...packageRules,
    {
      ...onlyFrom(['@aws-crypto/'], 'libs/sdk/aws-encryption-sdk', 'What an ISV installs stays small.'),
      name: 'only-aws-encryption-sdk-uses-aws-crypto',
    },
    onlyFrom(['pkcs11js'], 'libs/custody/pkcs11', 'The only place that knows CKA_ and CKM_.'),
    onlyFrom(['casbin'], 'libs/grants', 'Casbin stays behind the GrantPolicy port.'),
    {
      ...onlyFrom(
        ['typeorm', 'pg'],
        '(libs/persistence|libs/sdk/typeorm|migrations|examples|apps/worker/targets)',
        "Nobody else of ours knows SQL; the SDK's entry for TypeORM, and its example, are at home in the ISV's database, targets of rotations in a tenant's.",
      ),
      name: 'only-persistence-uses-typeorm',
    },
    {
      name: 'sdk-works-without-typeorm',
      severity: 'error',
      from: { path: '^libs/sdk/', pathNot: ['^libs/sdk/typeorm/', TESTS] },
      to: { path: '^libs/sdk/typeorm/' },
    },
    {
      name: 'examples-use-only-the-sdk',
      comment: 'As an ISV would. What plays one starts a platform for it.',
      severity: 'error',
      from: { path: '^examples/', pathNot: ['^examples/[^/]+/play/', TESTS] },
      to: { path: '^(apps|libs|migrations|test)/', pathNot: '^libs/sdk/(typeorm/)?index\\.ts$' },
    },
    onlyFrom(['passport', 'passport-custom'], 'libs/http', 'Authentication has one home.'),
    {
      ...onlyFrom(['ssh2'], 'apps/worker/targets', 'What a tenant names is reached from their process only.'),
      name: 'only-targets-use-ssh2',
    },
    { ...onlyFrom(['bullmq', 'ioredis'], '(apps/worker/jobs|migrations)', 'Queues are only triggers.'), name: 'only-worker-uses-bullmq' },
    {
      name: 'pkcs11-only-in-the-custodian',
      severity: 'error',
      from: { path: '^(apps|examples|libs|migrations)/', pathNot: ['^apps/custodian/', '^libs/custody/pkcs11/', TESTS] },
      to: { path: '^libs/custody/pkcs11/' },
    },
    {
      name: 'no-app-imports-another-app',
      severity: 'error',
      from: { path: '^apps/([^/]+)/', pathNot: TESTS },
      to: { path: '^apps/', pathNot: '^apps/$1/' },
    },
    {
      name: 'auditor-reaches-neither-custody-nor-grants',
      comment: 'The plane that auditors talk to can neither use a key nor change a rule; it may tell them in words what a rule says.',
      severity: 'error',
      from: { path: '^apps/auditor/', pathNot: TESTS },
      to: { path: NOT_THE_AUDITORS },
    },
    {
      name: 'auditor-does-not-reach-custody-through-others',
      severity: 'error',
      from: { path: '^apps/auditor/', pathNot: TESTS },
      to: { path: NOT_THE_AUDITORS, reachable: true },
    },
    {
      name: 'custodian-knows-no-database-and-no-http',
      severity: 'error',
      from: { path: '^apps/custodian/', pathNot: TESTS },
      to: { path: '^libs/(persistence|http|grants|sdk)/' },
    },
    {
      name: 'nobody-imports-tests',
      severity: 'error',
      from: { path: '^(apps|examples|libs|migrations)/', pathNot: TESTS },
      to: { path: TESTS },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '^dist/' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['source', 'import', 'types', 'node', 'default'] },
    cache: false,
  },
};
