/** Tests run as CommonJS: jest needs an experimental flag of Node's to load ES modules, so what is one is compiled to CommonJS. */
export default {
  rootDir: import.meta.dirname,
  testEnvironment: 'node',
  testMatch: ['<rootDir>/{apps,examples,libs,migrations,test}/**/*.{spec,int-spec,story}.ts'],
  modulePathIgnorePatterns: ['<rootDir>/dist/', '<rootDir>/.keyward/'],
  extensionsToTreatAsEsm: [],
  transform: {
    '^.+\\.(ts|js)$': [
      '@swc/jest',
      {
        swcrc: false,
        module: { type: 'commonjs' },
        jsc: {
          parser: { syntax: 'typescript', decorators: true },
          transform: { legacyDecorator: true, decoratorMetadata: true },
          target: 'es2024',
          keepClassNames: true,
        },
      },
    ],
  },
  // The packages that tests import and that exist as ES modules only.
  transformIgnorePatterns: ['/node_modules/(?!(@nestjs|commander|jose)/)'],
  moduleNameMapper: {
    '^(\\.{1,2}/.*)\\.js$': '$1',
    '^#(contract|contract/hpke|core|custody/pkcs11|custody/socket|grants|grants/tools|trail|persistence|persistence/backup|http|http/egress|runtime|runtime/log-lines|sdk|sdk/message|sdk/typeorm|testing)$':
      '<rootDir>/libs/$1/index.ts',
  },
  testTimeout: 60_000,
  // Stories start whole platforms and measure time: more at once would measure each other.
  maxWorkers: 2,
};
