import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'

export default defineConfig({
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
    pool: 'forks',
    // Two cores: more test files at once only make each other wait.
    maxWorkers: 2,
    testTimeout: 60_000,
    hookTimeout: 60_000,
    teardownTimeout: 20_000,
    retry: 0,
    coverage: { provider: 'v8', include: ['packages/*/src/**', 'apps/*/src/**'] },
  },
})
