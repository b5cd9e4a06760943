import { open, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { retryJob } from '@aduana/jobs/lifecycle/retry'
import { createTestSystem, type TestSystem } from '@aduana/testkit/system'
import { until } from '@aduana/testkit/until'
import { describe, test } from 'vitest'
import { monthFile } from '../testing/month-files.ts'
import { endings, expectAllLoaded } from '../testing/settled.ts'

/** Files that one stage writes for another: after which stages they are lost, and which stages write and read them. */
const LOSSES = [
  { name: 'parsed.parquet', how: 'missing', after: 'parse', writtenBy: 'parse', readBy: 'validate' },
  { name: 'parsed.parquet', how: 'damaged', after: 'parse', writtenBy: 'parse', readBy: 'validate' },
  { name: 'structural.ndjson', how: 'missing', after: 'parse', writtenBy: 'parse', readBy: 'validate' },
  {
    name: 'rejects.ndjson',
    how: 'damaged',
    after: 'parse,validate',
    writtenBy: 'validate',
    readBy: 'quarantine',
  },
  {
    name: 'clean.parquet',
    how: 'missing',
    after: 'parse,validate,quarantine',
    writtenBy: 'validate',
    readBy: 'load',
  },
  {
    name: 'clean.parquet',
    how: 'damaged',
    after: 'parse,validate,quarantine',
    writtenBy: 'validate',
    readBy: 'load',
  },
] as const

describe.concurrent('a stored file', { timeout: 300_000 }, () => {
  test.for(LOSSES)(
    '$name that is $how between stages fails the job, and a retry writes it again',
    async ({ name, how, after, writtenBy, readBy }, { expect }) => {
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
          error: { code: 'artifact_missing', stage: readBy },
        })
        expect(failed.error?.detail).toContain(`begins again at ${writtenBy}`)
        await retryJob(system.database.db, system.admin, id)
        await expectAllLoaded(system, [file])
      } finally {
        await system.close()
      }
    },
  )

  test('that is a missing original fails the job with advice to upload it again, which works', async ({
    expect,
  }) => {
    const system = await createTestSystem()
    try {
      const file = monthFile(0, 'l')
      const id = await system.accept(file.content, { dataset: 'production' })
      await lose(system, id, 'original', 'missing')
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

/** Removes a file from the store, or flips one bit in the middle of it. */
async function lose(
  system: TestSystem,
  jobId: string,
  name: string,
  how: 'missing' | 'damaged',
): Promise<void> {
  const row = await system.database.pool.query<{ key: string; bytes: string }>(
    'select key, bytes from artifacts where job_id = $1 and name = $2',
    [jobId, name],
  )
  const { key, bytes } = row.rows[0] ?? { key: '', bytes: '0' }
  const path = join(system.dataDir, 'artifacts', key)
  if (how === 'missing') return rm(path)
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
