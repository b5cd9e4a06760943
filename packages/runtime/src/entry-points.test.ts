import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { z } from 'zod'

const ROOT = fileURLToPath(new URL('../../../', import.meta.url))
const PackageJson = z.object({ exports: z.record(z.string(), z.unknown()) })

/** Returns the modules of each package that code outside of it imports, as in an `exports` map. */
function importedModules(): Map<string, Set<string>> {
  const imported = new Map<string, Set<string>>()
  for (const folder of ['apps', 'packages', 'bench']) {
    for (const path of readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })) {
      if (!/\.(ts|mjs)$/.test(path) || /(^|\/)(node_modules|dist|bundle)\//.test(path)) continue
      const source = readFileSync(join(ROOT, folder, path), 'utf8')
      for (const [, name = '', module] of source.matchAll(/'@aduana\/([\w-]+)\/([\w/.-]+)'/g))
        imported.set(name, (imported.get(name) ?? new Set()).add(`./${module}`))
    }
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
