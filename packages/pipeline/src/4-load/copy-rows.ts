import { once } from 'node:events'
import { createReadStream, createWriteStream } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { type Readable, Transform, Writable } from 'node:stream'
import { finished, pipeline } from 'node:stream/promises'
import { createGzip } from 'node:zlib'
import { compileLoadFile, type Slice } from '@aduana/datasets/load-file'
import type { MemberFile } from '@aduana/datasets/members'
import { copyIn } from '@aduana/datasets/target'
import { failPoint } from '@aduana/runtime/fail-points'
import type pg from 'pg'
import { from as copyFrom, to as copyTo } from 'pg-copy-streams'
import { codesOf, ensureMembers } from '../reference-data.ts'
import { engineFor, type StageJob } from '../stage.ts'

/** Rows to load into a table, as files that COPY reads. */
export interface RowSource {
  /** The clean file. */
  clean: string
  members: readonly MemberFile[]
  /** The highest record number in the file. */
  lastRecord: number
}

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

/** Approximate number of rows per file: the next is written while one is copied, so neither side waits long. */
const ROWS_PER_FILE = 500_000

/**
 * Writes the rows (of some days) as a series of files and calls `use` with each. Writes the next file while one is
 * used, and removes each afterwards.
 */
async function eachRowFile(
  job: StageJob,
  source: RowSource,
  part: { rows: number; days?: Slice['days'] },
  use: (path: string) => Promise<void>,
): Promise<void> {
  const slices = slicesOf(source.lastRecord, part)
  let coming: Promise<string> | undefined
  try {
    for (const [index, slice] of slices.entries()) {
      const path = await (coming ?? writeFile(job, source, slice, index))
      const next = slices[index + 1]
      coming = next === undefined ? undefined : writeFile(job, source, next, index + 1)
      // If `use` fails, the file being written is not awaited any more; its failure must not end the process.
      coming?.catch(() => undefined)
      await use(path)
      await rm(path)
    }
  } finally {
    await coming?.catch(() => undefined)
  }
}

function slicesOf(lastRecord: number, part: { rows: number; days?: Slice['days'] }): Slice[] {
  const files = Math.max(1, Math.ceil(part.rows / ROWS_PER_FILE))
  const step = Math.ceil(lastRecord / files)
  return Array.from({ length: files }, (_, index) => ({
    ...(files > 1 ? { records: { from: index * step + 1, to: (index + 1) * step } } : {}),
    ...(part.days ? { days: part.days } : {}),
  }))
}

async function writeFile(job: StageJob, source: RowSource, slice: Slice, index: number): Promise<string> {
  const { context, facts, folder, signal } = job
  const output = join(folder, `rows-${slice.days?.from ?? 'all'}-${index}.csv`)
  const compiled = compileLoadFile(facts.definition, {
    clean: source.clean,
    dimensions: source.members,
    importNo: facts.importNo,
    jobId: facts.jobId,
    output,
    slice,
  })
  await engineFor(context, facts).query({ workDir: folder, statements: compiled.statements }, { signal })
  return output
}

/**
 * Writes the surrogate ids of every code in the clean file to files in the folder of the stage attempt. Creates missing
 * members.
 */
export async function surrogates(job: StageJob, clean: string): Promise<MemberFile[]> {
  const files: MemberFile[] = []
  for (const { column, dimension, codes } of await codesOf(job, clean))
    files.push(await ensureMembers(job, column, dimension, codes))
  return files
}

/** Runs a `COPY … TO STDOUT` into a local file, compressed if `gzip` is set. Returns the number of rows. */
export async function copyToFile(
  client: pg.PoolClient,
  statement: string,
  path: string,
  options: { gzip?: boolean } = {},
): Promise<number> {
  const copy = client.query(copyTo(statement))
  await intoFile(copy, path, options.gzip === true)
  // The count arrives after the last row, with the completion of the statement.
  await client.query('select 1')
  return copy.rowCount
}

/**
 * Writes a stream of rows to a file. If the file cannot be written, reads the remaining rows before it throws the
 * error: a connection left in the middle of a COPY becomes unusable.
 */
async function intoFile(copy: Readable, path: string, gzip: boolean): Promise<void> {
  const file = createWriteStream(path)
  const zip = gzip ? createGzip({ level: 1, chunkSize: 256 * 1024 }) : undefined
  const first = zip ?? file
  let failure: unknown
  const fail = (error: unknown) => {
    failure ??= error
  }
  const written = (zip ? pipeline(zip, file) : finished(file)).catch(fail)
  const rows = new Writable({
    write: (chunk, _encoding, done) => {
      if (failure !== undefined || first.destroyed || first.write(chunk)) done()
      else void Promise.race([written, once(first, 'drain').catch(fail)]).then(() => done())
    },
  })
  try {
    await pipeline(copy, rows)
  } finally {
    first.end()
    await written
  }
  if (failure !== undefined) throw failure
}
