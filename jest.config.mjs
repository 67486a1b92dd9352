// Jest runs TypeScript and ESM-only packages as CommonJS, the module system that the server itself runs on.
export default {
  rootDir: '.',
  testEnvironment: '<rootDir>/test/support/jest-environment.cjs',
  roots: ['<rootDir>/apps', '<rootDir>/libs', '<rootDir>/test'],
  testRegex: '\\.spec\\.ts$',
  moduleFileExtensions: ['js', 'mjs', 'cjs', 'ts', 'json', 'node'],
  moduleNameMapper: {
    '^@sibyl/([^/]+)/testing$': '<rootDir>/libs/$1/src/testing.ts',
    '^@sibyl/([^/]+)$': '<rootDir>/libs/$1/src/index.ts',
  },
  transform: { '\\.(ts|m?js)$': '<rootDir>/test/support/jest-transformer.cjs' },
  transformIgnorePatterns: [],
  modulePathIgnorePatterns: ['<rootDir>/dist', '<rootDir>/.cache'],
  setupFiles: ['reflect-metadata'],
  testTimeout: 30_000,
  collectCoverageFrom: ['{apps,libs}/**/*.ts', '!**/*.spec.ts', '!**/*.bench.ts', '!**/main.ts'],
  coverageProvider: 'babel',
  cacheDirectory: '<rootDir>/.cache/jest',
};
