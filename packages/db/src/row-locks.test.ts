import { readdir, readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

const ROOT = fileURLToPath(new URL('../../..', import.meta.url))

/** The TypeScript of the product and its migrations, without tests and what only tests use. */
async function sources(): Promise<string[]> {
  const files = (await readdir(`${ROOT}/migrations`)).map((name) => `migrations/${name}`)
  for (const kind of ['packages', 'apps'])
    for (const name of await readdir(`${ROOT}/${kind}`))
      for (const path of await readdir(`${ROOT}/${kind}/${name}/src`, { recursive: true }))
        files.push(`${kind}/${name}/src/${path}`)
  return files.filter(isOfProduct)
}

function isOfProduct(path: string): boolean {
  if (path.startsWith('migrations/')) return path.endsWith('.sql')
  return (
    /^(packages|apps)\/[^/]+\/src\/.*\.(ts|mjs)$/.test(path) &&
    !/\.test\.|\/testing\/|^packages\/testkit\/|^apps\/faults\//.test(path)
  )
}

/** `FOR UPDATE` in SQL, but of rows that are skipped while others use them; and `forUpdate()` of Kysely. */
const FOR_UPDATE = /\bfor\s+update\b(?!(\s+of\s+\w+)?\s+skip\s+locked)|\.forUpdate\(/i
const SKIPPING = /\bfor\s+update\b/i

test('rows are locked FOR UPDATE only to be deleted, because that lock blocks every row that references them', async () => {
  // The search finds what it looks for.
  expect(['select 1 FOR\n  UPDATE', '.forUpdate()', 'for update of j'].map(mistakeIn)).not.toContain(
    undefined,
  )
  expect(mistakeIn('select 1 for update of r skip locked')).toBeDefined()
  expect(mistakeIn('select 1 for update of r skip locked`; delete from r')).toBeUndefined()
  const files = await sources()
  expect(files).toContain('packages/jobs/src/lifecycle/transitions.ts')
  const found: string[] = []
  for (const file of files) {
    const mistake = mistakeIn(await readFile(`${ROOT}/${file}`, 'utf8'))
    if (mistake !== undefined) found.push(`${file}: ${mistake}`)
  }
  expect(found, 'use FOR NO KEY UPDATE (see docs/guides/locks.md)').toEqual([])
})

/** What of a text locks more than it has to. */
function mistakeIn(text: string): string | undefined {
  const code = text
    .split('\n')
    .filter((line) => !/^\s*(\/\/|\/?\*|--)/.test(line))
    .join('\n')
  const [plain] = FOR_UPDATE.exec(code) ?? []
  if (plain !== undefined) return plain
  const [skipping] = SKIPPING.exec(code) ?? []
  return skipping !== undefined && !/\bdelete\s+from\b|\.deleteFrom\(/i.test(code) ? skipping : undefined
}
