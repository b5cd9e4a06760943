import type { Principal } from '@aduana/contracts/identity'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { freshSha, type JobsDatabase, openJobsDatabase } from '../testing/jobs.ts'
import { foldKeptBytes, keptBytes } from './stored-bytes.ts'

let database: JobsDatabase
let owner: Principal
beforeAll(async () => {
  database = await openJobsDatabase()
  owner = await database.addUser('operator', { tenant: 'own' })
})
afterAll(() => database.drop())
beforeEach(async () => {
  await database.clear()
  await query('delete from tenant_bytes')
})

const query = (sql: string, values: unknown[] = []) => database.pool.query(sql, values)
const kept = (tenant = 'own') => keptBytes(database.db, tenant)

/** The bytes of a tenant, counted from the tables. */
async function counted(): Promise<number> {
  const { rows } = await query(
    `select coalesce((select sum(a.bytes) from artifacts a join jobs j on j.id = a.job_id
        where j.tenant = 'own' and a.removed_at is null), 0)
      + coalesce((select sum(octet_length(q.raw) + pg_column_size(q.reasons)) from quarantined_records q
        join jobs j on j.id = q.job_id where j.tenant = 'own'), 0) as bytes`,
  )
  return Number(rows[0]?.bytes)
}

const addFile = (jobId: string, name: string, bytes: number) =>
  query(
    `insert into artifacts (job_id, name, key, media_type, bytes, sha256, attempt)
     values ($1, $2, $3, 'text/csv', $4, $5, 1)
     on conflict (job_id, name) do update set key = excluded.key, bytes = excluded.bytes, removed_at = null`,
    [jobId, name, freshSha(), bytes, freshSha()],
  )

const addRejects = (jobId: string, count: number) =>
  query(
    `insert into quarantined_records (id, job_id, dataset_id, record, line, codes, columns, reasons, raw)
     select n, j.id, j.dataset_id, n, n, '{x}', '{}', '[{"code":"x"}]', repeat('r', n)
     from jobs j, generate_series(1, $2::int) n where j.id = $1`,
    [jobId, count],
  )

describe('the bytes that a tenant keeps', () => {
  test('are always those of its files and rejects', async () => {
    const id = await database.accept({}, { as: owner })
    const steps = [
      () => addFile(id, 'a', 1000),
      () => addFile(id, 'a', 10),
      () => addFile(id, 'b', 500),
      () => query(`update artifacts set removed_at = now() where name = 'b'`),
      () => addFile(id, 'b', 700),
      () => query(`update artifacts set stage = 'parse' where name = 'a'`),
      () => addRejects(id, 20),
      () => query(`update quarantined_records set state = 'superseded'`),
      () => query('delete from quarantined_records where job_id = $1 and record > 5', [id]),
    ]
    const others = await kept('default')
    for (const step of steps) {
      const before = await kept()
      await step()
      expect(await kept(), `after ${before}`).toBe(await counted())
    }
    expect(await counted()).toBeGreaterThan(700)
    expect(await kept('default')).toBe(others)
  })

  test('stay correct when their rows are merged, by several processes at once and while others add more', async () => {
    const ids = await Promise.all(Array.from({ length: 5 }, () => database.accept({}, { as: owner })))
    await Promise.all([
      ...ids.map((id, n) => addFile(id, 'x', 100 * n)),
      ...ids.map(() => foldKeptBytes(database.db)),
      ...ids.map((id, n) => addFile(id, 'y', n)),
    ])
    expect(await kept()).toBe(await counted())
    await foldKeptBytes(database.db)
    expect(await kept()).toBe(await counted())
    expect((await query(`select from tenant_bytes where tenant = 'own'`)).rowCount).toBe(1)
  })

  test('do not include those of a transaction that rolled back', async () => {
    const id = await database.accept({}, { as: owner })
    const before = await kept()
    await query(
      `do $$ begin
         insert into artifacts (job_id, name, key, media_type, bytes, sha256, attempt)
           select job_id, 'never', 'never', 'text/csv', 9999, sha256, 1 from artifacts where job_id = '${id}';
         raise exception 'no';
       exception when others then null; end $$`,
    )
    expect(await kept()).toBe(before)
  })
})

test('a file beyond the quota of a tenant is refused, and those of other tenants are not', async () => {
  const other = await database.addUser('operator', { tenant: 'other' })
  const first = await database.accept({}, { as: owner })
  const maxKeptBytesPerTenant = (await kept()) * 2
  await database.accept({}, { as: owner, maxKeptBytesPerTenant })
  await expect(database.accept({}, { as: owner, maxKeptBytesPerTenant })).rejects.toMatchObject({
    code: 'quota_exceeded',
    extra: { keptBytes: maxKeptBytesPerTenant, maxBytes: maxKeptBytesPerTenant },
  })
  await database.accept({}, { as: other, maxKeptBytesPerTenant })
  await query('update artifacts set removed_at = now() where job_id = $1', [first])
  await database.accept({}, { as: owner, maxKeptBytesPerTenant })
})

test('of many concurrent files only those within the quota of the tenant are accepted', async () => {
  await database.accept({}, { as: owner })
  const one = await kept()
  const maxKeptBytesPerTenant = one * 4
  const results = await Promise.allSettled(
    Array.from({ length: 10 }, () => database.accept({}, { as: owner, maxKeptBytesPerTenant })),
  )
  expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(3)
  expect(await kept()).toBe(maxKeptBytesPerTenant)
})
