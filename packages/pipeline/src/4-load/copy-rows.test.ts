import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { createTestDatabase, type TestDatabase } from '@aduana/testkit/database'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { copyToFile } from './copy-rows.ts'

let database: TestDatabase
let folder: string
beforeAll(async () => {
  database = await createTestDatabase()
  folder = await mkdtemp(join(tmpdir(), 'aduana-copy-'))
})
afterAll(async () => {
  await database.drop()
  await rm(folder, { recursive: true, force: true })
})

const SERIES = `copy (select n, case when n % 2 = 0 then '' end as t from generate_series(1, 200000) n) to stdout with (format csv, null '')`

describe('rows that are copied to a file', () => {
  test('are counted, and NULL differs from the empty text', async () => {
    const client = await database.pool.connect()
    try {
      const path = join(folder, 'rows.csv.gz')
      expect(await copyToFile(client, SERIES, path, { gzip: true })).toBe(200_000)
      const lines = gunzipSync(await readFile(path))
        .toString('utf8')
        .split('\n')
      expect(lines.slice(0, 2)).toEqual(['1,', '2,""'])
      expect(lines).toHaveLength(200_001)
    } finally {
      client.release()
    }
  })

  test.each([
    ['into a folder that is not there', 'ENOENT', () => join(folder, 'missing', 'rows.csv')],
    // It opens but refuses writes, like a full disk: the error occurs while more rows wait.
    ['onto a full disk', 'ENOSPC', () => '/dev/full'],
  ])('that cannot be written %s leave the connection in order', async (_case, code, path) => {
    const client = await database.pool.connect()
    try {
      for (const gzip of [true, false])
        await expect(copyToFile(client, SERIES, path(), { gzip })).rejects.toThrow(code)
      expect((await client.query('select 1 as one')).rows).toEqual([{ one: 1 }])
    } finally {
      client.release()
    }
  })

  test('that the database refuses are an error, and the connection stays usable', async () => {
    const client = await database.pool.connect()
    try {
      const broken = 'copy (select 1 / (n - 90000) from generate_series(1, 200000) n) to stdout'
      await expect(copyToFile(client, broken, join(folder, 'broken.csv'))).rejects.toThrow('division by zero')
      expect((await client.query('select 1 as one')).rows).toEqual([{ one: 1 }])
    } finally {
      client.release()
    }
  })
})
