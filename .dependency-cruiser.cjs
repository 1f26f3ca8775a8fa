// The layering of docs/ARCHITECTURE.md, checked. Arrows point one way; the core does no I/O.
const pure =
  '^(src/(kernel|crdt|state|wire|swim|replication|node)|compat/(wire|filter|routes|watch)|migration/(mirror|evidence))/';

module.exports = {
  forbidden: [
    {
      name: 'no-cycles',
      severity: 'error',
      comment: 'Type-only cycles (a union of commands and its members) are allowed, cycles of code are not.',
      from: {},
      to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } },
    },
    {
      name: 'core-does-no-io',
      severity: 'error',
      comment: 'Time, chance, sockets and files are arguments of the core, never imports.',
      from: { path: pure },
      to: { dependencyTypes: ['core'], pathNot: '^(node:)?crypto$' },
    },
    {
      name: 'core-takes-only-pure-packages',
      severity: 'error',
      comment: 'Codecs and parsers without I/O: the list is the rule.',
      from: { path: pure },
      to: {
        dependencyTypes: ['npm', 'npm-dev', 'npm-optional', 'npm-peer'],
        pathNot: 'node_modules/(@msgpack/msgpack|lossless-json|re2js)/',
      },
    },
    {
      name: 'kernel-imports-nothing',
      severity: 'error',
      from: { path: '^src/kernel/' },
      to: { pathNot: ['^src/kernel/', 'node_modules'] },
    },
    {
      name: 'crdt-on-kernel',
      severity: 'error',
      from: { path: '^src/crdt/' },
      to: { pathNot: '^src/(kernel|crdt)/' },
    },
    {
      name: 'state-on-crdt',
      severity: 'error',
      from: { path: '^src/state/' },
      to: { pathNot: '^src/(kernel|crdt|state)/' },
    },
    {
      name: 'wire-on-crdt',
      severity: 'error',
      from: { path: '^src/wire/' },
      to: { pathNot: ['^src/(kernel|crdt|wire)/', 'node_modules'] },
    },
    {
      name: 'swim-on-wire',
      severity: 'error',
      comment: 'Membership knows nothing of what is replicated.',
      from: { path: '^src/swim/' },
      to: { pathNot: '^src/(kernel|crdt|wire|swim)/' },
    },
    {
      name: 'replication-on-wire',
      severity: 'error',
      comment:
        'Replication moves registers whole and opaque: it knows neither membership nor what they mean.',
      from: { path: '^src/replication/' },
      to: { pathNot: '^src/(kernel|crdt|wire|replication)/' },
    },
    {
      name: 'node-on-all-machines',
      severity: 'error',
      from: { path: '^src/node/' },
      to: { pathNot: '^src/(kernel|crdt|state|wire|swim|replication|node)/' },
    },
    {
      name: 'src-knows-no-upper-layer',
      severity: 'error',
      from: { path: '^src/' },
      to: { path: '^(compat|migration|bin|test|bench|scripts)/' },
    },
    {
      name: 'compat-knows-no-upper-layer',
      severity: 'error',
      from: { path: '^compat/' },
      to: { path: '^(migration|bin|test|bench|scripts)/' },
    },
    {
      name: 'migration-speaks-http-only',
      severity: 'error',
      comment:
        'The commands talk to a gateway as any client does: they must work against one on another machine. Only what ' +
        'runs inside a gateway (migration/live) knows its state.',
      from: { path: '^migration/', pathNot: '^migration/(live|evidence|report)/' },
      to: { path: '^(compat/(routes|http|watch|agent|checks)|src/(io|runtime|node|state)|bin|test)/' },
    },
    {
      name: 'live-migration-on-ports',
      severity: 'error',
      comment: 'It asks a gateway through migration/live/ports.ts, and meets HTTP at the interceptor.',
      from: { path: '^migration/live/' },
      to: {
        path: '^(compat/(agent|checks|config|dns|fleet|watch)|src/(io|runtime|node|swim|replication)|bin|test)/',
      },
    },
    {
      name: 'evidence-and-report-are-apart',
      severity: 'error',
      comment: 'A report is read on any machine: it knows no gateway.',
      from: { path: '^migration/(evidence|report)/' },
      to: {
        path: '^(migration/(live|copy|target)/|compat/(?!wire/)|src/(?!kernel/|state/migration)|bin/|test/)',
      },
    },
    {
      name: 'nobody-imports-bin',
      severity: 'error',
      from: { pathNot: '^(bin|test)/' },
      to: { path: '^bin/' },
    },
    { name: 'code-imports-no-tests', severity: 'error', from: { pathNot: '^test/' }, to: { path: '^test/' } },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    parser: 'swc',
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'node', 'default', 'types'],
    },
  },
};
