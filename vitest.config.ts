import { existsSync, statSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { defineConfig, type Plugin, type TestProjectConfiguration } from 'vitest/config'
import { BaseSequencer, type TestSpecification } from 'vitest/node'
import { LONG } from './packages/testkit/src/long.ts'
import { hasLongVariants, TIERS, type Tier, testFiles, tierOf } from './packages/testkit/src/tiers.ts'

const ROOT = fileURLToPath(new URL('.', import.meta.url))

/**
 * The tests import what is built, as the processes do that they start: each module is there once, and what runs of it is
 * counted in one place, whoever runs it. What only tests need is not built and is read from its source.
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

/** The packages are read from their sources: nothing needs to be built, and a change of a module is seen at once. */
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

/** One project of Vitest for each tier, with its files; in the long tests, those that have more variants. */
const projects = (mode: string, setupFiles: string[]): TestProjectConfiguration[] => {
  const files = testFiles(ROOT)
    .filter((path) => !LONG || hasLongVariants(ROOT, path))
    .map((path) => ({ path, tier: tierOf(ROOT, path) }))
  return TIERS.map((tier, order) => ({
    extends: true,
    // Vitest reads this file once more for each project.
    mode,
    test: {
      name: tier,
      include: files.filter((file) => file.tier === tier).map(({ path }) => path),
      setupFiles:
        tier === 'unit' ? [...setupFiles, 'packages/testkit/src/unit-setup.testing.ts'] : setupFiles,
      env: tier === 'unit' ? { TEST_DATABASE_URL: '', TEST_REDIS_URL: '' } : {},
      maxWorkers: WORKERS[tier],
      sequence: { groupOrder: order },
    },
  }))
}

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

/** `npm test` has built everything and runs with `--mode built`; all others run from the sources. */
export default defineConfig(({ mode }) => {
  const built = mode === 'built'
  return {
    plugins: [built ? builtModules : sourceModules],
    resolve: {
      // The tests of every package may use the testkit. As a dependency of the packages below it, it would be a circle.
      alias: built
        ? [{ find: /^@aduana\/testkit\/(.*)$/, replacement: `${ROOT}packages/testkit/dist/$1.js` }]
        : [],
    },
    test: {
      projects: projects(mode, built ? ['packages/testkit/src/coverage/vitest-setup.testing.ts'] : []),
      server: { deps: { external: [/\/(apps|packages)\/[^/]+\/dist\//] } },
      pool: 'forks',
      // What a file needs is loaded once in a process, not once for each file: that was a sixth of the time of most files.
      isolate: false,
      sequence: { sequencer: LongestFirst },
      testTimeout: LONG ? 1_200_000 : 60_000,
      hookTimeout: 60_000,
      teardownTimeout: 20_000,
      retry: 0,
    },
  }
})
