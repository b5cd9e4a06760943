import { env } from 'node:process'
import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'

const packages = (env.MUTANTS ?? 'packages/jobs').split(',').map((scope) => {
  const [root, name] = scope.split('/')
  return `${root}/${name}`
})

/**
 * For mutation testing: the tests of a package over its sources, which are mutated; the other packages are what has been
 * built. Tests that try many random cases take too long to be run once for each mutant.
 */
export default defineConfig({
  resolve: {
    alias: [
      {
        find: /^@aduana\/testkit\/(.*)$/,
        replacement: `${fileURLToPath(new URL('packages/testkit/dist/', import.meta.url))}$1.js`,
      },
    ],
  },
  test: {
    include: packages.map((folder) => `${folder}/src/**/*.test.ts`),
    exclude: ['**/node_modules/**', '**/*.fuzz.test.ts', '**/settling.test.ts', '**/incremental.test.ts'],
    server: { deps: { external: [/\/(apps|packages)\/[^/]+\/dist\//] } },
    isolate: false,
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
})
