/** Every suite by default; `npm run test:unit` and friends select projects by path. */
export default {
  testMatch: ['<rootDir>/test/**/*.test.ts'],
  testEnvironment: 'node',
  // Tests are CommonJS, d3 is not, except under this condition of its packages.
  testEnvironmentOptions: { customExportConditions: ['umd', 'node', 'node-addons'] },
  setupFiles: ['<rootDir>/test/support/property-seed.ts'],
  coverageProvider: 'v8',
  transform: {
    '^.+\\.ts$': [
      '@swc/jest',
      {
        jsc: { parser: { syntax: 'typescript' }, target: 'es2023' },
        module: { type: 'commonjs' },
        sourceMaps: 'inline',
      },
    ],
  },
};
