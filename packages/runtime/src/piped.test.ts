import { createReadStream } from 'node:fs'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { createGunzip, gzipSync } from 'node:zlib'
import { openFiles } from '@aduana/testkit/open-files'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { piped } from './piped.ts'

let folder: string
let path: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'aduana-piped-'))
  path = join(folder, 'large')
  await writeFile(path, Buffer.alloc(4 << 20, 'x'))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

const allClosed = () => expect.poll(() => openFiles(folder), { timeout: 5000 }).toEqual([])

describe('a file that is piped into a step is closed', () => {
  test('when the loop that reads the step is left', async () => {
    for await (const chunk of piped(createReadStream(path), new PassThrough())) {
      expect(chunk.length).toBeGreaterThan(0)
      expect(await openFiles(folder)).toEqual([path])
      break
    }
    await allClosed()
  })

  test('when the step fails, whose error the reader gets', async () => {
    const reading = async () => {
      for await (const _ of piped(createReadStream(path), createGunzip()));
    }
    await expect(reading()).rejects.toMatchObject({ code: 'Z_DATA_ERROR' })
    await allClosed()
  })

  test('when the file cannot be read, whose error the reader gets', async () => {
    const reading = async () => {
      for await (const _ of piped(createReadStream(join(folder, 'missing')), createGunzip()));
    }
    await expect(reading()).rejects.toMatchObject({ code: 'ENOENT' })
  })

  test('when it ends, and nothing of it is lost', async () => {
    const packed = join(folder, 'packed.gz')
    await writeFile(packed, gzipSync(Buffer.alloc(3_000_000, 'y')))
    let bytes = 0
    for await (const chunk of piped(createReadStream(packed), createGunzip())) bytes += chunk.length
    expect(bytes).toBe(3_000_000)
    await allClosed()
  })
})

test('no module pipes streams in a way that leaves the source open', async () => {
  const root = fileURLToPath(new URL('../../../', import.meta.url))
  const found: string[] = []
  const sources = (await Promise.all(['packages', 'apps'].map((part) => readdir(join(root, part))))).flatMap(
    (names, part) => names.map((name) => join(part === 0 ? 'packages' : 'apps', name, 'src')),
  )
  const names = await Promise.all(
    sources.map(async (source) =>
      (await readdir(join(root, source), { recursive: true })).map((name) => join(source, name)),
    ),
  )
  for (const name of names.flat().filter((one) => /\.(ts|mjs)$/.test(one) && !one.endsWith('.test.ts'))) {
    const text = await readFile(join(root, name), 'utf8')
    // `.pipe(z.…)` is a step of a schema.
    if (/\.pipe\((?!z\b)/.test(text.replace(/\/?\*.*/g, ''))) found.push(name)
  }
  expect(found).toEqual([])
})
