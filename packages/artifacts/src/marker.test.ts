import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createTestDatabase, type TestDatabase } from '@aduana/testkit/database'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { claimStore, folderLocation } from './marker.ts'

let database: TestDatabase
let folder: string
beforeAll(async () => {
  database = await createTestDatabase()
})
afterAll(() => database.drop())
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'aduana-marker-'))
  await database.pool.query('delete from artifact_stores')
})
afterEach(() => rm(folder, { recursive: true }))

const claim = (root: string) => claimStore(database.db, folderLocation(root))

test('the folder that was claimed first stays the store', async () => {
  await claim(join(folder, 'store'))
  await claim(join(folder, 'store'))
  const marker = (await readFile(join(folder, 'store/store-id'), 'utf8')).trim()
  const known = await database.pool.query('select name, marker from artifact_stores')
  expect(known.rows).toEqual([{ name: 'disk', marker }])
  expect(await readdir(join(folder, 'store'))).toEqual(['store-id'])
})

test('processes that claim a folder concurrently agree on one marker', async () => {
  await Promise.all(Array.from({ length: 20 }, () => claim(folder)))
  expect(await readdir(folder)).toEqual(['store-id'])
  expect((await database.pool.query('select from artifact_stores')).rowCount).toBe(1)
})

test('a folder without a known marker is refused, with advice', async () => {
  await claim(join(folder, 'ours'))
  await expect(claim(join(folder, 'theirs'))).rejects.toMatchObject({
    name: 'StoreError',
    code: 'foreign',
    message: expect.stringMatching(/theirs is not the artifact store of this database.*ADUANA_DATA_DIR/),
  })
  await claim(join(folder, 'ours'))
})

test('a folder that another database has claimed is refused, and does not change', async () => {
  await claim(folder)
  const marker = await readFile(join(folder, 'store-id'), 'utf8')
  await database.pool.query('delete from artifact_stores')
  await expect(claim(folder)).rejects.toMatchObject({
    code: 'foreign',
    message: expect.stringMatching(
      /of another database.*If the other database no longer exists, remove store-id/,
    ),
  })
  expect(await readFile(join(folder, 'store-id'), 'utf8')).toBe(marker)
})

test('a folder can be claimed after a process died during its claim', async () => {
  const place = folderLocation(folder)
  const dies = (step: 'before' | 'after') =>
    claimStore(database.db, {
      ...place,
      write: async (marker) => {
        if (step === 'after') await place.write(marker)
        throw new Error(`died ${step} the marker`)
      },
    })
  await expect(dies('before')).rejects.toThrow('died before')
  await expect(dies('after')).rejects.toThrow('died after')
  await claim(folder)
  const known = await database.pool.query('select name, marker from artifact_stores')
  expect(known.rows).toEqual([
    { name: 'disk', marker: (await readFile(join(folder, 'store-id'), 'utf8')).trim() },
  ])
})

test('of concurrent hosts with a folder each, one gets the database', async () => {
  const folders = Array.from({ length: 8 }, (_, n) => join(folder, `host-${n}`))
  const results = await Promise.allSettled(folders.map(claim))
  expect(results.filter((result) => result.status === 'fulfilled')).toHaveLength(1)
})
