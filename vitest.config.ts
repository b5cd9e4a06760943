import { existsSync, readdirSync, statSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { defineConfig, type Plugin, type TestProjectConfiguration } from 'vitest/config'
import { BaseSequencer, type TestSpecification } from 'vitest/node'
import { LONG } from './packages/testkit/src/long.ts'
import { hasLongVariants, TIERS, type Tier, testFiles, tierOf } from './packages/testkit/src/tiers.ts'

const ROOT = fileURLToPath(new URL('.', import.meta.url))

/**
 * Tests that start processes import what is built, as those processes do. What only tests need is not built and is read
 * from its source.
 */
const builtModules: Plugin = {
  name: 'built-modules',
  enforce: 'pre',
  resolveId(source, importer) {
    if (importer === undefined || !/^\.{1,2}\//.test(source)) return
    const wanted = resolve(dirname(importer), source)
    const built = wanted.replace(/\/src\/(.+)\.ts$/, '/dist/$1.js')
    return built !== wanted && existsSync(built) ? built : undefined
  },
}

/** All other tests read the packages from their sources: nothing needs to be built, and a change is seen at once. */
const sourceModules: Plugin = {
  name: 'source-modules',
  enforce: 'pre',
  resolveId(source) {
    const [, name, path] = /^@aduana\/([^/]+)\/(.+)$/.exec(source) ?? []
    const file = resolve(ROOT, `packages/${name}/src/${path}.ts`)
    return existsSync(file) ? file : undefined
  },
}

/** In a group of its own, a tier runs after the one before it. Tests that mostly wait share the processors with more others. */
const WORKERS: Record<Tier, number> = { unit: 2, integration: 3, system: 3, faults: 4 }

/** Tiers whose tests start programs of ours, which must be built. */
const STARTS_PROGRAMS: readonly Tier[] = ['system', 'faults']

/** Returns one project of Vitest for each tier, with its files; in the long tests, those that have more variants. */
function projects(): TestProjectConfiguration[] {
  const files = testFiles(ROOT)
    .filter((path) => !LONG || hasLongVariants(ROOT, path))
    .map((path) => ({ path, tier: tierOf(ROOT, path) }))
  return TIERS.map((tier, order) => ({
    extends: true,
    ...(STARTS_PROGRAMS.includes(tier)
      ? // The testkit may be used by every package. As a dependency of the packages below it, it would be a circle.
        { plugins: [builtModules], resolve: { alias: BUILT_TESTKIT } }
      : { plugins: [sourceModules] }),
    test: {
      name: tier,
      include: files.filter((file) => file.tier === tier).map(({ path }) => path),
      setupFiles: tier === 'unit' ? ['packages/testkit/src/unit-setup.ts'] : [],
      env: tier === 'unit' ? { TEST_DATABASE_URL: '', TEST_REDIS_URL: '' } : {},
      maxWorkers: WORKERS[tier],
      sequence: { groupOrder: order },
    },
  }))
}

const BUILT_TESTKIT = [
  { find: /^@aduana\/testkit\/(.*)$/, replacement: `${ROOT}packages/testkit/dist/$1.js` },
]

/**
 * What the tests run of the modules in the process of a test. Left out are modules that only tests use, and the modules
 * of processes: their tests start them.
 */
const COVERAGE = {
  provider: 'custom',
  customProviderModule: `${ROOT}vitest.coverage.ts`,
  include: ['apps/{api,cli}/src/**/*.ts', 'packages/!(testkit)/src/**/*.ts'],
  exclude: [
    '**/*.test.ts',
    '**/testing/**',
    '**/main.ts',
    '**/write-*.ts',
    'packages/engine/src/child/**',
    'packages/runtime/src/{fail-points,lifecycle}.ts',
  ],
  reporter: ['html', 'lcovonly', 'json-summary', 'text-summary'],
}

/** What must be covered of each package, in per cent. Many branches are there for faults that end the process. */
const REQUIRED = { statements: 80, functions: 80, lines: 80 }
const MEASURED = [
  'apps/api',
  'apps/cli',
  ...readdirSync(`${ROOT}packages`).flatMap((name) => (name === 'testkit' ? [] : `packages/${name}`)),
]
const THRESHOLDS = Object.fromEntries(MEASURED.map((path) => [`${path}/src/**/*.ts`, REQUIRED]))

/**
 * Files that take a minute or more, whatever their size: last, each would run alone at the end. Those that keep the
 * processors busy stand among those that mostly wait.
 */
const BEGIN_WITH = [
  'apps/faults/src/interleavings/jobs.test.ts',
  'apps/faults/src/interleavings/outside-metrics.test.ts',
  'apps/faults/src/kill.test.ts',
  'apps/faults/src/metrics/kills.test.ts',
  'apps/worker/src/tampering.test.ts',
  'apps/faults/src/interleavings/metrics.test.ts',
  'apps/worker/src/s3.test.ts',
  'apps/faults/src/poison.test.ts',
  'apps/faults/src/zombie.test.ts',
  'apps/worker/src/health/health.test.ts',
  'apps/faults/src/metrics/scenario.test.ts',
  'apps/faults/src/driver/driver.test.ts',
  'apps/faults/src/fleet.test.ts',
  'apps/faults/src/windows.test.ts',
  'apps/worker/src/undo-kill.test.ts',
  'apps/worker/src/approval-kill.test.ts',
]

/** Larger files before smaller ones, as vitest does when it has not run them before; so every run has the same order. */
class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ moduleId }: TestSpecification) => {
      const at = BEGIN_WITH.findIndex((path) => moduleId.endsWith(path))
      return at < 0 ? BEGIN_WITH.length : at
    }
    const size = ({ moduleId }: TestSpecification) => statSync(moduleId).size
    return [...files].sort((a, b) => rank(a) - rank(b) || size(b) - size(a))
  }
}

/** `npm test` runs everything in the mode `complete`: only then coverage must reach its thresholds. */
export default defineConfig(({ mode }) => ({
  test: {
    projects: projects(),
    server: { deps: { external: [/\/(apps|packages)\/[^/]+\/dist\//] } },
    pool: 'forks',
    // What a file needs is loaded once in a process, not once for each file: that was a sixth of the time of most files.
    isolate: false,
    sequence: { sequencer: LongestFirst },
    testTimeout: LONG ? 1_200_000 : 60_000,
    hookTimeout: 60_000,
    teardownTimeout: 20_000,
    retry: 0,
    coverage: mode === 'complete' ? { ...COVERAGE, thresholds: THRESHOLDS } : COVERAGE,
  },
}))
