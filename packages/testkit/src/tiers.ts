import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'

/** The tiers of tests, from the fastest to the slowest. */
export const TIERS = ['unit', 'integration', 'system', 'faults'] as const
export type Tier = (typeof TIERS)[number]

/** Modules that start programs of Aduana. */
const PROGRAMS = ['packages/testkit/src/processes.ts']

/** Modules that connect to a service or start a process. */
const SERVICES = [
  'packages/testkit/src/settings.ts',
  'packages/testkit/src/s3.ts',
  'packages/engine/src/engine.ts',
  'node:child_process',
  '@duckdb/node-api',
  'pg',
]

/** Modules that only tests use, and those of the launcher. Their imports count as imports of the test. */
const SUPPORT = /^packages\/testkit\/|\/testing\/|\.test\.(ts|mjs)$|^apps\/(faults|local)\//

const IMPORT =
  /^(?:import|export)\s+(?!type\s)(?:[^'"]*?\sfrom\s+)?['"]([^'"]+)['"]|\bimport\(\s*['"]([^'"]+)['"]/gm

/** Returns the paths of all test files, from the root of the repository, in order. */
export function testFiles(root: string): string[] {
  const sources = ['apps', 'packages'].flatMap((group) =>
    readdirSync(join(root, group)).map((name) => join(group, name, 'src')),
  )
  return sources
    .filter((folder) => existsSync(join(root, folder)))
    .flatMap((folder) =>
      readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' }).map((path) =>
        join(folder, path),
      ),
    )
    .filter((path) => /\.test\.(ts|mjs)$/.test(path))
    .sort()
}

/**
 * Returns the tier of a test file. It depends on its imports, also through modules that only tests use. `system` tests start
 * programs of Aduana; `integration` tests use PostgreSQL, Redis, DuckDB, an emulator of AWS or another process; `unit`
 * tests use none of them. Tests that make programs fail (`apps/faults`, `…kill.test.ts`) are `faults`.
 */
export function tierOf(root: string, file: string): Tier {
  const reached = reachedBy(root, file)
  const startsProgram =
    PROGRAMS.some((module) => reached.has(module)) ||
    (file.startsWith('apps/') && reached.has('node:child_process'))
  if (!startsProgram && !SERVICES.some((module) => reached.has(module))) return 'unit'
  if (file.startsWith('apps/faults/') || file.endsWith('kill.test.ts')) return 'faults'
  return startsProgram ? 'system' : 'integration'
}

/** Returns whether a test file runs more variants in the long tests. */
export function hasLongVariants(root: string, file: string): boolean {
  return reachedBy(root, file).has('packages/testkit/src/long.ts')
}

/** Returns the modules that a file imports, directly and through test support: paths from the root, or package names. */
function reachedBy(root: string, file: string, reached = new Set<string>()): Set<string> {
  for (const source of importsOf(resolve(root, file))) {
    const module = resolveModule(root, file, source)
    if (reached.has(module)) continue
    reached.add(module)
    if (SUPPORT.test(module)) reachedBy(root, module, reached)
  }
  return reached
}

function importsOf(path: string): string[] {
  if (!existsSync(path)) return []
  return [...readFileSync(path, 'utf8').matchAll(IMPORT)].map(([, named, called]) => named ?? called ?? '')
}

function resolveModule(root: string, file: string, source: string): string {
  if (source.startsWith('.')) return relative(root, resolve(root, dirname(file), source))
  const internal = /^@aduana\/([^/]+)\/(.+)$/.exec(source)
  return internal === null ? source : `packages/${internal[1]}/src/${internal[2]}.ts`
}
