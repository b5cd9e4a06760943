import { open, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { retryJob } from '@aduana/jobs/lifecycle/retry'
import { createTestSystem, type TestSystem } from '@aduana/testkit/system'
import { until } from '@aduana/testkit/until'
import { describe, test } from 'vitest'
import { monthFile } from '../testing/month-files.ts'
import { endings, expectAllLoaded } from '../testing/settled.ts'

/** Files that one stage leaves to another: after which stages they are lost, who makes them and who misses them. */
const LOSSES = [
  { name: 'parsed.parquet', how: 'gone', after: 'parse', madeBy: 'parse', missedBy: 'validate' },
  { name: 'parsed.parquet', how: 'damaged', after: 'parse', madeBy: 'parse', missedBy: 'validate' },
  { name: 'structural.ndjson', how: 'gone', after: 'parse', madeBy: 'parse', missedBy: 'validate' },
  {
    name: 'rejects.ndjson',
    how: 'damaged',
    after: 'parse,validate',
    madeBy: 'validate',
    missedBy: 'quarantine',
  },
  {
    name: 'clean.parquet',
    how: 'gone',
    after: 'parse,validate,quarantine',
    madeBy: 'validate',
    missedBy: 'load',
  },
  {
    name: 'clean.parquet',
    how: 'damaged',
    after: 'parse,validate,quarantine',
    madeBy: 'validate',
    missedBy: 'load',
  },
] as const

describe.concurrent('a stored file', { timeout: 300_000 }, () => {
  test.for(LOSSES)(
    '$name that is $how between stages fails the job, and a retry makes it again',
    async ({ name, how, after, madeBy, missedBy }, { expect }) => {
      const system = await createTestSystem()
      try {
        const first = await system.startWorker({ ADUANA_STAGES: after })
        const file = monthFile(0, 'l')
        const id = await system.accept(file.content, { dataset: 'production' })
        await stagesDone(system, after.split(',').length)
        await first.stop()
        await lose(system, id, name, how)
        await system.startWorker()
        const failed = await system.finished(id, 90_000)
        expect(failed).toMatchObject({
          status: 'FAILED',
          error: { code: 'artifact_missing', stage: missedBy },
        })
        expect(failed.error?.detail).toContain(`starts again at the stage ${madeBy}`)
        await retryJob(system.database.db, system.admin, id)
        await expectAllLoaded(system, [file])
      } finally {
        await system.close()
      }
    },
  )

  test('that is the original and gone is asked for again, and can be sent again', async ({ expect }) => {
    const system = await createTestSystem()
    try {
      const file = monthFile(0, 'l')
      const id = await system.accept(file.content, { dataset: 'production' })
      await lose(system, id, 'original', 'gone')
      await system.startWorker()
      await system.finished(id, 90_000)
      expect(await endings(system)).toEqual([
        expect.stringMatching(/^FAILED artifact_missing .*Upload the file again/),
      ])
      const again = await system.accept(file.content, { dataset: 'production' })
      expect(await system.finished(again, 90_000)).toMatchObject({ status: 'COMPLETED' })
    } finally {
      await system.close()
    }
  })
})

async function stagesDone(system: TestSystem, count: number): Promise<void> {
  await until(
    async () => {
      const rows = await system.database.pool.query(`select from stage_results where state = 'done'`)
      return rows.rowCount === count
    },
    { within: 60_000, what: `${count} stages are done` },
  )
}

/** Remove a file from the store, or turn over one bit in the middle of it. */
async function lose(system: TestSystem, jobId: string, name: string, how: 'gone' | 'damaged'): Promise<void> {
  const row = await system.database.pool.query<{ key: string; bytes: string }>(
    'select key, bytes from artifacts where job_id = $1 and name = $2',
    [jobId, name],
  )
  const { key, bytes } = row.rows[0] ?? { key: '', bytes: '0' }
  const path = join(system.dataDir, 'artifacts', key)
  if (how === 'gone') return rm(path)
  const file = await open(path, 'r+')
  try {
    const middle = Math.floor(Number(bytes) / 2)
    const byte = Buffer.alloc(1)
    await file.read(byte, 0, 1, middle)
    byte.writeUInt8(byte.readUInt8() ^ 1)
    await file.write(byte, 0, 1, middle)
  } finally {
    await file.close()
  }
}
