/** The packages in order: an arrow only ever points up this list. */
const ORDER = [
  'contracts',
  'runtime',
  'db',
  'artifacts',
  'messaging',
  'outbox',
  'engine',
  'datasets',
  'metric-compute',
  'queue',
  'jobs',
  'metrics',
  'pipeline',
  'testkit',
]

const inPackage = (name) => `^packages/${name}/src/`
const oneOf = (names) => `^packages/(${names.join('|')})/`

/** No package imports one that stands below it. */
const directions = ORDER.slice(0, -1).map((name, index) => ({
  name: `${name}-imports-only-upward`,
  comment: `${name} may import only ${ORDER.slice(0, index).join(', ') || 'nothing of ours'}`,
  severity: 'error',
  from: { path: inPackage(name), pathNot: '\\.test\\.ts$' },
  to: { path: `${oneOf(ORDER.slice(index + 1))}|^apps/` },
}))

export default {
  forbidden: [
    ...directions,
    {
      name: 'no-circles',
      severity: 'error',
      from: {},
      to: { circular: true },
    },
    {
      name: 'contracts-know-only-zod',
      severity: 'error',
      from: { path: inPackage('contracts') },
      to: { pathNot: '^packages/contracts/|node_modules/(\\.pnpm/)?zod' },
    },
    {
      name: 'stages-do-not-know-each-other',
      severity: 'error',
      from: { path: '^packages/pipeline/src/(\\d-[a-z-]+)/' },
      to: { path: '^packages/pipeline/src/\\d-[a-z-]+/', pathNot: '^packages/pipeline/src/$1/' },
    },
    {
      name: 'only-queue-knows-bullmq',
      severity: 'error',
      from: { pathNot: '^packages/(queue|testkit)/' },
      to: { path: 'node_modules/(\\.pnpm/)?(bullmq|ioredis)', dependencyTypesNot: ['type-only'] },
    },
    {
      name: 'only-messaging-knows-sns-and-sqs',
      severity: 'error',
      from: { path: '^(apps|packages)/', pathNot: '^packages/(messaging|testkit)/' },
      to: { path: 'node_modules/(\\.pnpm/)?(@aws-sdk[+/]client-s[nq]s|sqs-consumer)' },
    },
    {
      name: 'apps-do-not-know-each-other',
      comment: 'but for the faults, which stop and restart servers that the launcher starts',
      severity: 'error',
      from: { path: '^apps/([^/]+)/', pathNot: '^apps/faults/' },
      to: { path: '^apps/', pathNot: '^apps/$1/' },
    },
    {
      name: 'faults-know-only-the-launcher',
      severity: 'error',
      from: { path: '^apps/faults/' },
      to: { path: '^apps/', pathNot: '^apps/(faults|local)/' },
    },
    {
      name: 'engine-knows-no-dataset',
      severity: 'error',
      from: { path: inPackage('engine') },
      to: { path: '^packages/(db|artifacts|datasets)/|dataset-definition' },
    },
    {
      name: 'parse-and-validate-need-no-database',
      comment: 'the agent runs them beside private sources',
      severity: 'error',
      from: { path: '^packages/engine/' },
      to: { path: 'node_modules/(\\.pnpm/)?(pg|kysely)' },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules|/dist/' },
    exclude: {
      path: '(^|/)node_modules/(?!.*(zod|bullmq|ioredis|pg|kysely|sqs-consumer|@aws-sdk.client-s[nq]s))',
    },
    tsPreCompilationDeps: true,
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['types', 'import', 'default'] },
  },
}
