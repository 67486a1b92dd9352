'use strict';
// The map of design.md §1 as rules: who may import whom. test/architecture/dependency-rules.spec.ts proves that each bites.

/** Lowest first. A library imports only libraries of lower levels; onnx stands on protocol, whose types it answers in. */
const LEVELS = [
  ['kernel'],
  ['protocol', 'telemetry', 'database'],
  ['onnx'],
  ['audit', 'inference'],
  ['auth', 'registry', 'features', 'monitoring'],
  ['prediction', 'language'],
];
const LIBRARIES = LEVELS.flat();

/** Tests and what only they use. */
const TEST_CODE = '(\\.spec\\.ts|\\.bench\\.ts|/testing\\.ts)$|/testing/|^libs/[^/]+/test/|^test/';

const looksDown = LEVELS.flatMap((libraries, level) =>
  libraries.map((library) => ({
    name: 'look-down-only',
    comment: `${library} is on level ${level} and imports only libraries below it`,
    severity: 'error',
    from: { path: `^libs/${library}/` },
    to: { path: '^libs/', pathNot: `^libs/(${[library, ...LEVELS.slice(0, level).flat()].join('|')})/` },
  })),
);

const npm = ['npm', 'npm-dev', 'npm-optional', 'npm-peer', 'npm-no-pkg', 'npm-unknown'];

module.exports = {
  forbidden: [
    ...looksDown,
    {
      name: 'every-library-has-a-level',
      comment: 'a new library gets its place in LEVELS first',
      severity: 'error',
      from: {},
      to: { path: '^libs/', pathNot: `^libs/(${LIBRARIES.join('|')})/` },
    },
    {
      name: 'front-door-of-libraries',
      comment: 'across libraries only @sibyl/<name>, or its /testing',
      severity: 'error',
      from: { path: '^libs/([^/]+)/' },
      to: { path: '^libs/', pathNot: '^libs/$1/|^libs/[^/]+/src/(index|testing)\\.ts$' },
    },
    {
      name: 'front-door-of-libraries',
      comment: 'programs and tests use libraries through their front doors too',
      severity: 'error',
      from: { path: '^(apps|test)/' },
      to: { path: '^libs/', pathNot: '^libs/[^/]+/src/(index|testing)\\.ts$' },
    },
    {
      name: 'no-barrel-inside',
      comment: 'siblings import files, not their own front door',
      severity: 'error',
      from: { path: '^libs/([^/]+)/src/', pathNot: TEST_CODE },
      to: { path: '^libs/$1/src/index\\.ts$' },
    },
    {
      name: 'testing-only-in-tests',
      comment: 'builders, fakes and contract suites never reach the product',
      severity: 'error',
      from: { path: '^(apps|libs)/', pathNot: TEST_CODE },
      to: { path: '/src/testing(\\.ts$|/)|\\.spec\\.ts$|^test/' },
    },
    {
      name: 'no-cycles',
      comment: 'a cycle has no bottom from which to understand it',
      severity: 'error',
      from: {},
      to: { circular: true },
    },
    {
      name: 'libraries-never-import-apps',
      severity: 'error',
      from: { path: '^libs/' },
      to: { path: '^apps/' },
    },
    {
      name: 'apps-stand-alone',
      comment: 'programs meet over sockets, not imports',
      severity: 'error',
      from: { path: '^apps/([^/]+)/' },
      to: { path: '^apps/', pathNot: '^apps/$1/' },
    },
    {
      name: 'only-apps-know-http',
      comment:
        'libraries throw DomainErrors; apps/ turns them into answers. Types may be named: auth fits a Nest interface',
      severity: 'error',
      from: { path: '^libs/', pathNot: TEST_CODE },
      to: {
        path: 'node_modules/(express|helmet|busboy|@nestjs/(core|platform-express|swagger|throttler|terminus))/',
        dependencyTypesNot: ['type-only'],
      },
    },
    {
      name: 'onnxruntime-only-in-the-runner',
      comment: 'it blocks its thread and can abort its process',
      severity: 'error',
      from: { pathNot: '^(apps/runner|test|examples)/' },
      to: { path: '(^|node_modules/)onnxruntime-(node|common)' },
    },
    {
      name: 'the-runner-is-bare',
      comment: 'of ours only kernel and protocol',
      severity: 'error',
      from: { path: '^apps/runner/', pathNot: TEST_CODE },
      to: { path: '^libs/', pathNot: '^libs/(kernel|protocol)/' },
    },
    {
      name: 'the-runner-is-bare',
      comment: 'of npm only ONNX Runtime',
      severity: 'error',
      from: { path: '^apps/runner/', pathNot: TEST_CODE },
      to: { dependencyTypes: npm, pathNot: 'node_modules/(onnxruntime-(node|common)|@types)/' },
    },
    {
      name: 'the-runner-is-bare',
      comment: 'no network and no children',
      severity: 'error',
      from: { path: '^apps/runner/', pathNot: TEST_CODE },
      to: { path: '^(node:)?(http|https|http2|dns|tls|dgram|child_process|cluster)$' },
    },
    {
      name: 'kernel-imports-nothing',
      severity: 'error',
      from: { path: '^libs/kernel/', pathNot: TEST_CODE },
      to: { dependencyTypes: npm },
    },
    {
      name: 'pure-libraries',
      comment: 'protocol and onnx compute; class-validator describes their limits',
      severity: 'error',
      from: { path: '^libs/(protocol|onnx)/', pathNot: TEST_CODE },
      to: { dependencyTypes: npm, pathNot: 'node_modules/class-validator/' },
    },
    {
      name: 'one-way-to-postgres',
      comment: 'every call goes through the bounded pool of the database library',
      severity: 'error',
      from: { path: '^(apps|libs)/', pathNot: `^libs/database/|${TEST_CODE}` },
      to: { path: 'node_modules/(@types/)?(pg|pg-pool|pg-connection-string)/' },
    },
    {
      name: 'no-development-packages',
      comment: 'they are not installed in production',
      severity: 'error',
      from: { path: '^(apps|libs)/', pathNot: TEST_CODE },
      to: { dependencyTypes: ['npm-dev'], dependencyTypesNot: ['type-only'], pathNot: 'node_modules/@types/' },
    },
    {
      name: 'declared-packages-only',
      comment: 'a package that is there by accident goes away by accident',
      severity: 'error',
      from: { path: '^(apps|libs)/' },
      to: { dependencyTypes: ['npm-no-pkg', 'npm-unknown'] },
    },
    {
      name: 'resolvable',
      severity: 'error',
      from: {},
      to: { couldNotResolve: true },
    },
  ],
  options: {
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '^(dist|\\.cache|\\.sibyl|coverage)/' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'require', 'node', 'default', 'types'],
    },
  },
};
