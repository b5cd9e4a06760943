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
    !/\.test\.|\.testing\.|\/testing\/|^packages\/testkit\/|^apps\/faults\//.test(path)
  )
}

/** `FOR UPDATE` in SQL, and `forUpdate()` of Kysely. */
const FOR_UPDATE = /\bfor\s+update\b|\.forUpdate\(/i

test('no path locks rows FOR UPDATE, which every row that references them would wait for', async () => {
  const files = await sources()
  // The search finds what it looks for.
  expect(files).toContain('packages/jobs/src/lock-job.ts')
  expect(['select 1 FOR\n  UPDATE', '.forUpdate()'].every((text) => FOR_UPDATE.test(text))).toBe(true)
  const found: string[] = []
  for (const file of files) {
    const lines = (await readFile(`${ROOT}/${file}`, 'utf8')).split('\n')
    if (FOR_UPDATE.test(lines.filter((line) => !isComment(line)).join('\n'))) found.push(file)
  }
  expect(found, 'use FOR NO KEY UPDATE (see docs/guides/locks.md)').toEqual([])
})

function isComment(line: string): boolean {
  return /^\s*(\/\/|\/?\*|--)/.test(line)
}
