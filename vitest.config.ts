import { existsSync, statSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { defineConfig, type Plugin } from 'vitest/config'
import { BaseSequencer, type TestSpecification } from 'vitest/node'

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

/** `npm test` has built everything and runs with `--mode built`; `npm run test:watch` follows the sources. */
export default defineConfig(({ mode }) => ({
  plugins: mode === 'built' ? [builtModules] : [],
  resolve: {
    // The tests of every package may use the testkit. As a dependency of the packages below it, it would be a circle.
    alias: [
      {
        find: /^@aduana\/testkit\/(.*)$/,
        replacement: `${fileURLToPath(new URL('packages/testkit/dist/', import.meta.url))}$1.js`,
      },
    ],
  },
  test: {
    include: ['{apps,packages}/*/src/**/*.test.{ts,mjs}'],
    setupFiles: ['packages/testkit/src/coverage/vitest-setup.testing.ts'],
    server: { deps: { external: [/\/(apps|packages)\/[^/]+\/dist\//] } },
    pool: 'forks',
    // What a file needs is loaded once in a process, not once for each file: that was a sixth of the time of most files.
    isolate: false,
    // On two cores: many tests mostly wait, for a lock to go stale or for the next try. More than this make each other wait.
    maxWorkers: 3,
    sequence: { sequencer: LongestFirst },
    testTimeout: 60_000,
    hookTimeout: 60_000,
    teardownTimeout: 20_000,
    retry: 0,
  },
}))
