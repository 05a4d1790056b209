import tseslint from 'typescript-eslint';

/** One violation of a house rule, told with its reason. */
const forbid = (selector, message) => ({ selector, message });

const houseRules = [
  forbid("CallExpression[callee.name='forwardRef']", 'Break the cycle instead: no forwardRef.'),
  forbid("Decorator > CallExpression[callee.name='Global']", 'Import the module where it is needed: no @Global.'),
  forbid(
    "Property[key.name='scope'] MemberExpression[object.name='Scope'][property.name='REQUEST']",
    'No request scope: pass what the call needs.',
  ),
];
const noEnvironment = forbid(
  "MemberExpression[object.name='process'][property.name='env']",
  'Settings are read in libs/runtime/config.ts and apps/custodian/config.ts only.',
);

export default tseslint.config(
  { ignores: ['dist/', 'node_modules/', '.keyward/', 'coverage/', 'docs/', '**/*.mjs'] },
  { linterOptions: { reportUnusedDisableDirectives: 'error' } },
  tseslint.configs.strictTypeChecked,
  {
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      '@typescript-eslint/no-explicit-any': 'error',
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/consistent-type-imports': ['error', { fixStyle: 'inline-type-imports' }],
      '@typescript-eslint/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true }],
      '@typescript-eslint/restrict-template-expressions': [
        'error',
        {
          allowNumber: true,
          allowBoolean: true,
        },
      ],
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_', ignoreRestSiblings: true }],
      // `() => clearTimeout(x)` reads better than a block.
      '@typescript-eslint/no-confusing-void-expression': 'off',
      // Bytes and tuples are indexed where the lines before have checked the length.
      '@typescript-eslint/no-non-null-assertion': 'off',
      // Nest, TypeORM and pino declare their option objects as classes.
      '@typescript-eslint/no-unsafe-class-instance-assignment': 'off',
      // `() => void list.push(x)` says that the value does not matter.
      '@typescript-eslint/no-meaningless-void-operator': 'off',
      // Alphabets are ASCII strings.
      '@typescript-eslint/no-misused-spread': 'off',
      // Handlers take their context apart.
      '@typescript-eslint/unbound-method': 'off',
      // Fakes and ports answer with promises that they need not await.
      '@typescript-eslint/require-await': 'off',
      // A Nest module is a class with decorators and nothing in it.
      '@typescript-eslint/no-extraneous-class': ['error', { allowWithDecorator: true, allowEmpty: true }],
      'max-lines': ['warn', { max: 250, skipBlankLines: true, skipComments: true }],
      'no-console': 'error',
      // A comment in the block that says why is enough.
      'no-empty': 'error',
      'no-restricted-syntax': ['error', ...houseRules, noEnvironment],
    },
  },
  {
    // The only readers of settings.
    files: ['libs/runtime/config.ts', 'apps/custodian/config.ts', 'examples/*/settings.ts'],
    rules: { 'no-restricted-syntax': ['error', ...houseRules] },
  },
  {
    // What a person reads on a terminal.
    files: ['apps/cli/**', 'examples/**', 'test/bench/**', 'test/faults/**'],
    rules: { 'no-console': 'off' },
  },
  {
    // Tests look at what they know to be there, and plant broken values.
    files: ['**/*.spec.ts', '**/*.int-spec.ts', '**/*.story.ts', 'libs/testing/**', 'libs/**/test/**', '**/test-*.ts', 'test/**'],
    rules: {
      '@typescript-eslint/no-unsafe-assignment': 'off',
      '@typescript-eslint/no-unsafe-argument': 'off',
      '@typescript-eslint/no-unsafe-member-access': 'off',
      '@typescript-eslint/no-unsafe-return': 'off',
      '@typescript-eslint/no-unsafe-call': 'off',
      '@typescript-eslint/no-invalid-void-type': 'off',
      '@typescript-eslint/restrict-plus-operands': 'off',
      '@typescript-eslint/use-unknown-in-catch-callback-variable': 'off',
      '@typescript-eslint/no-unnecessary-condition': 'off',
      'no-restricted-syntax': ['error', ...houseRules],
      'max-lines': 'off',
    },
  },
);
