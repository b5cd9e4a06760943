import { open, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { StageName } from '@aduana/contracts/stages'
import { retryJob } from '@aduana/jobs/lifecycle/retry'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { productionFile } from './testing/datasets.ts'
import { openPipeline, type TestPipeline } from './testing/pipeline.ts'

let pipeline: TestPipeline
beforeAll(async () => {
  pipeline = await openPipeline()
})
afterAll(() => pipeline.close())

/** Files that one stage leaves to another: the last stage before they are lost, which one creates and which one needs them. */
const LOSSES = [
  ['parsed.parquet', 'removed', 'parse', 'parse', 'validate'],
  ['parsed.parquet', 'damaged', 'parse', 'parse', 'validate'],
  ['structural.ndjson', 'removed', 'parse', 'parse', 'validate'],
  ['rejects.ndjson', 'damaged', 'validate', 'validate', 'quarantine'],
  ['clean.parquet', 'removed', 'quarantine', 'validate', 'load'],
  ['clean.parquet', 'damaged', 'quarantine', 'validate', 'load'],
] as const satisfies (readonly [string, 'removed' | 'damaged', StageName, StageName, StageName])[]

/** Removes a file from the store, or inverts one bit in the middle of it. */
async function lose(jobId: string, name: string, how: 'removed' | 'damaged'): Promise<void> {
  const [row] = await pipeline.rows('select key, bytes from artifacts where job_id = $1 and name = $2', [
    jobId,
    name,
  ])
  const path = join(pipeline.system.dataDir, 'artifacts', String(row?.key))
  if (how === 'removed') return rm(path)
  const file = await open(path, 'r+')
  try {
    const middle = Math.floor(Number(row?.bytes) / 2)
    const byte = Buffer.alloc(1)
    await file.read(byte, 0, 1, middle)
    byte.writeUInt8(byte.readUInt8() ^ 1)
    await file.write(byte, 0, 1, middle)
  } finally {
    await file.close()
  }
}

/** Returns a file with ten good rows of a day and a bad one. */
const fileOf = (day: string) =>
  productionFile(...Array.from({ length: 10 }, (_, index) => `${day},L${index}`), '2024-02-31,bad')

describe('a stored file', () => {
  test.each(LOSSES)(
    '%s that is %s after %s fails the job, and a retry creates it again',
    async (name, how, last, madeBy, neededBy) => {
      const { db } = pipeline.context
      const day = `2024-03-${String(LOSSES.findIndex((one) => one[0] === name && one[1] === how) + 1).padStart(2, '0')}`
      const id = await pipeline.accept(fileOf(day), { dataset: 'production' })
      expect(await pipeline.run(id, { last })).toEqual({ kind: 'done' })
      await lose(id, name, how)
      expect(await pipeline.run(id, { from: neededBy })).toMatchObject({ kind: 'fail' })
      const failed = await pipeline.job(id)
      expect(failed).toMatchObject({
        status: 'FAILED',
        error: { code: 'artifact_missing', stage: neededBy },
      })
      expect(failed.error?.detail).toContain(`starts again at the stage ${madeBy}`)
      await retryJob(db, pipeline.system.admin, id)
      await pipeline.admit()
      expect(await pipeline.run(id)).toEqual({ kind: 'done' })
      expect(await pipeline.job(id)).toMatchObject({
        status: 'COMPLETED',
        counts: { records: 11, loaded: 10, quarantined: 1 },
      })
      expect(
        await pipeline.rows('select from fact_production where fecha_contabilizacion = $1', [day]),
      ).toHaveLength(10)
    },
  )

  test('that is the original and was removed is requested from its uploader, who can send it again', async () => {
    const content = fileOf('2024-04-01')
    const id = await pipeline.accept(content, { dataset: 'production' })
    await lose(id, 'original', 'removed')
    expect(await pipeline.run(id)).toMatchObject({ kind: 'fail' })
    expect(await pipeline.job(id)).toMatchObject({
      status: 'FAILED',
      error: { code: 'artifact_missing', detail: expect.stringContaining('Upload the file again') },
    })
    expect(await pipeline.import(content, { dataset: 'production' })).toMatchObject({ status: 'COMPLETED' })
  })
})
