import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { compileLoadFile, type Slice } from '@aduana/datasets/load-file'
import type { MemberFile } from '@aduana/datasets/members'
import { engineFor, type StageJob } from '../stage.ts'

/** Rows to load into a table, as files that COPY reads. */
export interface RowSource {
  /** The clean file. */
  clean: string
  members: readonly MemberFile[]
  /** The highest record number in the file. */
  lastRecord: number
}

/** Approximate number of rows per file: the next is written while one is copied, so neither side waits long. */
const ROWS_PER_FILE = 500_000

/**
 * Writes the rows (of some days) as a series of files and calls `use` with each. Writes the next file while one is
 * used, and removes each afterwards.
 */
export async function eachRowFile(
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
