import type { Principal } from '@aduana/contracts/identity'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type JobsDatabase, openJobsDatabase } from '../testing/jobs.ts'
import { findArtifact, listJobs, readJob, readVersions } from './jobs.ts'

let database: JobsDatabase
let owner: Principal
beforeAll(async () => {
  database = await openJobsDatabase()
  owner = await database.addUser('operator')
})
afterAll(() => database.drop())

const file = (id: string, name: string, change: Record<string, unknown> = {}) => {
  const row = { downloadable: true, removed_at: null, content_bytes: null, content_sha256: null, ...change }
  return database.pool.query(
    `insert into artifacts (job_id, name, key, media_type, bytes, sha256, stage, attempt, downloadable, removed_at,
        content_bytes, content_sha256)
      values ($1::uuid, $2, 'jobs/' || $1::text || $2, 'text/plain', 5, repeat('a', 64), 'parse', 1, $3, $4, $5, $6)`,
    [id, name, row.downloadable, row.removed_at, row.content_bytes, row.content_sha256],
  )
}
const find = (id: string, name: string, as = owner) => findArtifact(database.db, as, id, name)

test('a file is found by users who may see its job, unless it is internal to the stages', async () => {
  const id = await database.accept({}, { as: owner })
  await file(id, 'rejects.ndjson')
  await file(id, 'parsed.parquet', { downloadable: false })
  const [row] = (await database.pool.query('select import_no from imports where job_id = $1', [id])).rows
  expect(await find(id, 'rejects.ndjson')).toMatchObject({
    ...{ bytes: 5, sha256: 'a'.repeat(64), packed: false },
    fileName: `import-${row.import_no}-rejects.ndjson`,
  })
  await expect(find(id, 'parsed.parquet')).rejects.toMatchObject({ code: 'not_found' })
  await expect(find(id, 'rejects.ndjson', await database.addUser('operator'))).rejects.toMatchObject({
    code: 'not_found',
  })
  const { artifacts } = await readJob(database.db, owner, id)
  expect(artifacts.map(({ name }) => name)).toEqual(['original', 'rejects.ndjson'])
})

test('a gzipped file has the size of its content, the original its own name, and a removed file is reported as such', async () => {
  const id = await database.accept({}, { as: owner })
  await file(id, 'packed', { content_bytes: 50, content_sha256: 'b'.repeat(64) })
  await file(id, 'gone', { removed_at: new Date() })
  expect(await find(id, 'packed')).toMatchObject({ bytes: 50, sha256: 'b'.repeat(64), packed: true })
  expect(await find(id, 'original')).toMatchObject({ fileName: 'test.csv' })
  await expect(find(id, 'gone')).rejects.toMatchObject({ code: 'artifact_expired' })
})

test('the jobs that a user may see are listed newest first, in pages without gaps or repetitions', async () => {
  const user = await database.addUser('operator')
  const ids: string[] = []
  for (let n = 0; n < 5; n += 1) ids.unshift(await database.accept({}, { as: user }))
  await database.pool.query('update jobs set created_at = $2 where id = any ($1)', [
    ids.slice(0, 4),
    new Date(),
  ])
  const seen: string[] = []
  let cursor: string | undefined
  for (;;) {
    const page = await listJobs(database.db, user, { limit: 2, ...(cursor === undefined ? {} : { cursor }) })
    seen.push(...page.items.map(({ id }) => id))
    if (page.next === null) break
    cursor = page.next
  }
  expect(seen).toHaveLength(5)
  expect(new Set(seen)).toEqual(new Set(ids))
  const others = await listJobs(database.db, await database.addUser('operator'), { limit: 50 })
  expect(others.items).toEqual([])
})

test('versions are those of the jobs that exist', async () => {
  const id = await database.accept({}, { as: owner })
  const { version } = await database.job(id)
  const found = await readVersions(database.db, [id, '0000000f-0000-4000-8000-00000000dead'])
  expect([...found]).toEqual([[id, Number(version)]])
  expect(await readVersions(database.db, [])).toEqual(new Map())
})
