import { existsSync, statSync } from 'node:fs'
import { env } from 'node:process'

/** What is mutated: folders of packages, or files, separated by commas. */
const scopes = (env.MUTANTS ?? 'packages/jobs').split(',')
for (const scope of scopes)
  if (!/^packages\/[a-z]+(\/|$)/.test(scope) || !existsSync(scope))
    throw new Error(
      `MUTANTS names "${scope}"; expected a package such as packages/jobs, or files or folders of one`,
    )

const filesOf = (scope) =>
  statSync(scope).isDirectory() ? `${scope}${scope.includes('/src') ? '' : '/src'}/**/*.ts` : scope

/** What only tells of something, and fail points, which only tests arm: a mutant of these changes nothing that counts. */
const TELLING = /^(logger|log|failPoint)$/

function isTelling(path) {
  if (!path.isCallExpression()) return false
  const { callee } = path.node
  if (callee.type === 'Identifier') return TELLING.test(callee.name)
  if (callee.type !== 'MemberExpression') return false
  const { object } = callee
  return TELLING.test(object.name ?? object.property?.name ?? '')
}

export const strykerPlugins = [
  {
    kind: 'Ignore',
    name: 'telling',
    value: { shouldIgnore: (path) => (isTelling(path) ? 'It is logged, or a fail point.' : undefined) },
  },
]

/** @type {import('@stryker-mutator/api/core').PartialStrykerOptions} */
export default {
  testRunner: 'vitest',
  plugins: ['@stryker-mutator/vitest-runner', import.meta.url],
  vitest: { configFile: 'vitest.mutants.config.ts' },
  mutate: [
    ...scopes.map(filesOf),
    '!packages/**/*.test.ts',
    '!packages/**/testing/**',
    '!packages/**/shipped/**',
  ],
  // Texts are for people; and whether SQL is right is told by what PostgreSQL answers, not by an empty string.
  mutator: { excludedMutations: ['StringLiteral'] },
  ignorers: ['telling'],
  coverageAnalysis: 'perTest',
  // The tests share a PostgreSQL; two cores are for one run and its server.
  concurrency: Number(env.MUTANTS_AT_ONCE ?? 1),
  timeoutMS: 20_000,
  timeoutFactor: 3,
  tempDirName: '.data/mutants',
  // Stryker rewrites this file with the compiler's JavaScript API, which TypeScript 7 does not have; a copy needs no rewriting.
  tsconfigFile: 'none',
  ignorePatterns: [
    '.data',
    'coverage',
    '.tsbuild',
    '.turbo',
    '**/bundle',
    'docs',
    'apps/*/src',
    'apps/*/dist',
  ],
  allowConsoleColors: false,
  reporters: ['progress-append-only', 'clear-text', 'html', 'json'],
  clearTextReporter: { allowColor: false, logTests: false, reportTests: false, allowEmojis: false },
  htmlReporter: { fileName: 'coverage/mutants.html' },
  jsonReporter: { fileName: 'coverage/mutants.json' },
}
