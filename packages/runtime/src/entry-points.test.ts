import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { z } from 'zod'

const ROOT = fileURLToPath(new URL('../../../', import.meta.url))
const PackageJson = z.object({ exports: z.record(z.string(), z.unknown()) })

/** Returns the paths of all sources, tests and scripts, from the root. */
function sourceFiles(): string[] {
  const folders = ['apps', 'packages'].flatMap((group) =>
    readdirSync(join(ROOT, group)).map((name) => join(group, name)),
  )
  const within = (folder: string, recursive: boolean) =>
    readdirSync(join(ROOT, folder), { recursive, encoding: 'utf8' }).map((path) => join(folder, path))
  return folders
    .flatMap((folder) => [...within(folder, false), ...within(join(folder, 'src'), true)])
    .concat(within('bench', true))
    .filter((path) => /\.(ts|mjs)$/.test(path))
}

/** Returns the modules of each package that code outside of it imports, as in an `exports` map. */
function importedModules(): Map<string, Set<string>> {
  const imported = new Map<string, Set<string>>()
  for (const path of sourceFiles()) {
    const source = readFileSync(join(ROOT, path), 'utf8')
    for (const [, name = '', module] of source.matchAll(/'@aduana\/([\w-]+)\/([\w/.-]+)'/g))
      imported.set(name, (imported.get(name) ?? new Set()).add(`./${module}`))
  }
  return imported
}

const IMPORTED = importedModules()

test.each(readdirSync(join(ROOT, 'packages')))(
  'the entry points of packages/%s are the modules that others import',
  (name) => {
    const text = readFileSync(join(ROOT, 'packages', name, 'package.json'), 'utf8')
    const { exports } = PackageJson.parse(JSON.parse(text))
    expect(Object.keys(exports)).toEqual([...(IMPORTED.get(name) ?? [])].sort())
  },
)
