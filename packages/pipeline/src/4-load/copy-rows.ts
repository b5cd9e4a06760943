import { createReadStream } from 'node:fs'
import { Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { copyIn } from '@aduana/datasets/target'
import { failPoint } from '@aduana/runtime/fail-points'
import type pg from 'pg'
import { from as copyFrom } from 'pg-copy-streams'
import type { StageJob } from '../stage.ts'
import { eachRowFile, type RowSource } from './row-files.ts'

/** Counts the rows sent to the database over all connections of a load. */
export interface RowMeter {
  copied: number
  readonly total: number
}

/** The share of the load's progress for copying; the rest is for indexes, ledger and commit. */
const COPYING = 0.9

/** Copies rows (of some days) into a table, by default the target. Returns how many arrived. */
export async function copyRows(
  job: StageJob,
  client: pg.PoolClient,
  source: RowSource,
  part: Parameters<typeof eachRowFile>[2],
  meter: RowMeter,
  table?: string,
): Promise<number> {
  let arrived = 0
  await eachRowFile(job, source, part, async (path) => {
    const copy = client.query(copyFrom(copyIn(job.facts.definition, table)))
    let lines = 0
    const count = counting(String(job.facts.importNo), (more) => {
      lines += more
      meter.copied += more
      report(job, meter)
    })
    await pipeline(createReadStream(path, { highWaterMark: 512 * 1024 }), count, copy, { signal: job.signal })
    // Lines were counted so far; PostgreSQL reports the exact number of rows.
    meter.copied += copy.rowCount - lines
    arrived += copy.rowCount
  })
  await failPoint('load.after-copy', String(job.facts.importNo))
  return arrived
}

function report(job: StageJob, meter: RowMeter): void {
  const processedItems = Math.min(meter.copied, meter.total)
  const fraction = meter.total === 0 ? COPYING : (processedItems / meter.total) * COPYING
  job.report({ fraction, message: 'Loading the rows', totalItems: meter.total, processedItems })
}

/** Passes bytes on and counts their lines, which is close enough to the rows for a progress bar. */
function counting(detail: string, onLines: (lines: number) => void): Transform {
  return new Transform({
    transform: (chunk: Buffer, _encoding, done) => {
      let lines = 0
      for (let at = chunk.indexOf(10); at >= 0; at = chunk.indexOf(10, at + 1)) lines += 1
      onLines(lines)
      failPoint('load.during-copy', detail).then(
        () => done(null, chunk),
        (error: unknown) => done(error instanceof Error ? error : new Error(String(error))),
      )
    },
  })
}
